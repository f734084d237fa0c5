"""files: a directory that an application may write in, and that its releases share."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Dict, Sequence

from buildless.errors import NodeError
from buildless.node import tool
from buildless.node.versions import remove_tree
from buildless.service import Account, Service

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout

AT_FDCWD, RENAME_EXCHANGE = -100, 2


class Files(Service):
    """`directory` is its name in what the app keeps, `variable` the one that tells the application where it is."""

    directory = "files"
    variable = "CONFIG_FILES"
    shared = False
    late = 1  # two names are exchanged

    def environ(self, account: Account, state: str) -> Dict[str, str]:
        return {self.variable: f"{state}/{self.directory}"}

    def top(self, home: AppLayout) -> Path:
        """The directory that it is in."""
        return home.state

    def give(self, home: AppLayout) -> None:
        """Let the app get to it there."""
        home.give_state()

    def place(self, home: AppLayout) -> Path:
        return self.top(home) / self.directory

    def beside(self, home: AppLayout) -> Path:
        """A directory on the same disk that the app cannot get to."""
        return self.top(home).parent / f".new-{home.name}-{self.directory}"

    def install(self, home: AppLayout, account: Account) -> int:
        place = self.place(home)
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise NodeError(f"{place} is there and is no directory; have the application remove it")
        if not place.exists():
            self.top(home).mkdir(parents=True, exist_ok=True)
            new = self.beside(home)
            remove_tree(new)
            new.mkdir(mode=0o700)
            self.own(home, new)
            new.rename(place)
        self.give(home)
        return 0

    def own(self, home: AppLayout, place: Path) -> None:
        """Make it, and all that is in it, the app's."""
        home.node.owners.give_tree(home.name, place)

    def check(self, home: AppLayout, account: Account) -> None:
        if not self.place(home).is_dir():
            raise NodeError(f"{self.place(home)} is not there; deploy the app again: redeploy")

    def dump(self, home: AppLayout, account: Account, out: BinaryIO) -> Sequence[str]:
        """The directory is held open: what the app puts in its place meanwhile is not looked at. tar itself follows no links."""
        self.check(home, account)
        try:
            held = os.open(self.place(home), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise NodeError(f"{self.place(home)} is no directory; have the application remove it, or: clear") from error
        try:
            argv = ("tar", "--create", "--file=-", "--sort=name", "--format=posix", "--numeric-owner",
                    f"--directory=/proc/self/fd/{held}", ".")  # fmt: skip
            said = tool.read(argv, out, pass_fds=(held,), harmless=(1,))  # 1: a file changed while it was read
        finally:
            os.close(held)
        return [line.removeprefix("tar: ") for line in said.splitlines()]

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        """It is unpacked by somebody who may write nothing else."""
        self.drop(home, account)
        new, owners = self.beside(home), home.node.owners
        new.mkdir(parents=True, mode=0o700)
        if dumped is not None:
            stranger = owners.stranger(new)
            tool.write(("tar", "--extract", "--file=-", "--no-same-owner", "--no-same-permissions", "--delay-directory-restore",
                        f"--directory={new}"), dumped, **stranger)  # fmt: skip
        self.own(home, new)

    def swap(self, home: AppLayout, account: Account) -> None:
        self.top(home).mkdir(parents=True, exist_ok=True)
        if os.path.lexists(self.place(home)):
            exchange(self.beside(home), self.place(home))
        else:
            self.beside(home).rename(self.place(home))
        self.give(home)

    def drop(self, home: AppLayout, account: Account) -> None:
        delete(self.beside(home))

    def remove(self, home: AppLayout, account: Account) -> None:
        delete(self.place(home))


def delete(path: Path) -> None:
    """Whatever it is: the application may have put something else there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    remove_tree(path)


def exchange(one: Path, other: Path) -> None:
    """Let two names be each other's, at once (renameat2(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


SERVICE = Files()
