"""``run --remote`` and ``shell --remote``: the server that a git remote names does it, over the person's own ssh.

Files that are arguments go ahead in a session of their own, ``run:files``, which holds them there until the command has ended: so
the command has the terminal and standard input to itself.
"""

from __future__ import annotations

import os
import re
import shlex
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from ..errors import CommandFailed, Refused
from ..names import quoted
from ..runner import Command, become, end_group
from ..text import size
from .call import DevelopCall

SHORT = re.compile(r"([^/:@]+@[^/:@]+):(.+)", re.DOTALL)
LIMIT = 60.0  # seconds that a git may take


@dataclass(frozen=True)
class Remote:
    """A server, as a remote's address says it: `login` is ``deploy@example.com``, `app` as commands have it, ``staging/shop``."""

    login: str
    port: int | None
    app: str

    @classmethod
    def read(cls, address: str) -> Remote:
        """The server of an address, as git takes it. Raises Refused for what is no address of one.

        >>> Remote.read("ssh://deploy@example.com:2222/staging/shop")
        Remote(login='deploy@example.com', port=2222, app='staging/shop')
        >>> Remote.read("deploy@example.com:shop")
        Remote(login='deploy@example.com', port=None, app='shop')
        """
        if short := SHORT.fullmatch(address):
            address = f"ssh://{short[1]}/{short[2]}"
        try:
            parts = urlsplit(address)
            login = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
            found = cls(login or "", parts.port, parts.path.strip("/"))
        except ValueError:
            found = cls("", None, "")
        if not (address.startswith("ssh://") and found.login and found.app):
            raise Refused(f"{quoted(address)} is no address of a server; write one such as ssh://deploy@HOST:2222/APP")
        return found


@dataclass(frozen=True)
class Way:
    """How a server is asked: `ssh` is what git would start, `call` has the terminal."""

    call: DevelopCall
    ssh: tuple[str, ...]
    remote: Remote

    @classmethod
    async def find(cls, call: DevelopCall, directory: Path, name: str) -> Way:
        """That to the remote `name` of the repository that `directory` is in. Raises Refused, with git's words."""
        address = (await git(call, directory, "remote", "get-url", "--push", "--", name)).removesuffix("\n")
        configured = (await git(call, directory, "config", "--default", "", "--get", "core.sshCommand")).strip()
        said = call.environ.get("GIT_SSH_COMMAND") or configured
        return cls(call, tuple(shlex.split(said)) or (call.environ.get("GIT_SSH") or "ssh",), Remote.read(address))

    def command(self, *words: str, terminal: bool = False) -> Command:
        """What has the server do a command; the words are quoted here, as it splits them as a shell would."""
        port = ("-p", str(self.remote.port)) if self.remote.port is not None else ()
        argv = (*self.ssh, *port, "-t" if terminal else "-T", "--", self.remote.login, shlex.join(words))
        return Command(argv, self.call.environ, str(self.call.directory), stays=True)


async def git(call: DevelopCall, directory: Path, *words: str) -> str:
    """What a git prints in a directory. Raises Refused."""
    try:
        out = await call.runner.run(Command(("git", *words), call.environ, str(directory)), timeout=LIMIT)
    except CommandFailed as error:
        raise Refused(
            "git does not say where the server is; name a remote that is there: git remote -v", *error.details[1:]
        ) from error
    return os.fsdecode(out)


async def shell_there(call: DevelopCall, name: str, directory: Path) -> NoReturn:
    way = await Way.find(call, directory, name)
    become(way.command("shell", way.remote.app, terminal=is_terminal()))


async def run_there(call: DevelopCall, name: str, words: Sequence[str]) -> int:
    """Run a command of the server's, and send along the files that are arguments; returns its exit status."""
    way = await Way.find(call, call.directory, name)
    tracked = (await git(call, call.directory, "ls-files", "-z", "--full-name", ":/")).split("\0")
    left, files = taken_out(words, set(tracked), call.directory)
    if not files:
        become(way.command("run", way.remote.app, *words, terminal=is_terminal()))
    names = ", ".join(name if name.isprintable() else quoted(name) for name in map(os.path.basename, files.values()))
    call.terminal.warn(f"-----> Sending {names} ({size(sum(map(os.path.getsize, files.values())))})")
    held = Held()
    reading, writing = os.pipe()
    holding = way.command("run:files", way.remote.app)
    patient = replace(holding, argv=("env", "--ignore-signal=INT", *holding.argv))  # Ctrl-C is ours, and we end it
    holder = call.runner.start(patient, held, {0: reading, 1: "r", 2: 2})
    os.close(reading)
    packing = deferToThread(pack, files, writing)

    def failed(failure: Failure) -> None:
        if not failure.check(BrokenPipeError):  # there it has been said why nobody takes it
            call.terminal.warn(f"gitdeploy: {failure.getErrorMessage()}")

    packing.addErrback(failed)
    try:
        where = await held.name
        return await call.runner.attend(
            way.command("run", "--files", where, way.remote.app, *left, terminal=is_terminal())
        )
    finally:
        timer = end_group(call.runner.reactor, holder)
        await held.gone
        await packing
        if timer is not None and timer.active():
            timer.cancel()


def is_terminal() -> bool:
    """Whether somebody sits there, who sees what he types."""
    return os.isatty(0) and os.isatty(1)


def taken_out(words: Sequence[str], tracked: Collection[str], directory: Path) -> tuple[list[str], dict[int, str]]:
    """The words without the names of files, ``--from=`` for ``--from=fruit.csv``, and the files by the number of their words.

    The first word, 0, is the command itself. A word as a file of the tree is called there means the one that the server has.
    Raises Refused for a file that cannot be read.
    """
    left, files = list(words), {}
    for number, word in enumerate(words[1:], 1):
        option, equals, value = word.partition("=")
        for before, name in (("", word), (option + equals, value)):
            path = os.path.join(directory, name)
            if name not in tracked and os.path.isfile(path):
                if not os.access(path, os.R_OK):
                    raise Refused(f"{quoted(name)} cannot be read, and so not be sent; look at its permissions")
                left[number], files[number] = before, path
                break
    return left, files


def pack(files: Mapping[int, str], into: int) -> None:
    """Write an archive of files to a descriptor, and close that: each has a directory with its number. Raises OSError."""
    with (
        os.fdopen(into, "wb") as pipe,
        tarfile.open(fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT, dereference=True) as tar,
    ):
        for number, path in files.items():
            with open(path, "rb") as file:
                member = tar.gettarinfo(arcname=f"{number}/{os.path.basename(path)}", fileobj=file)
                member.mode |= 0o600
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                tar.addfile(member, file)


class Held(protocol.ProcessProtocol):
    """The session that holds files: `name` is what it calls them once they are there, or Refused; `gone` is its end."""

    def __init__(self) -> None:
        self.out = b""
        self.name: Deferred[str] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.out += data
        if self.out.endswith(b"\n") and not self.name.called:
            self.name.callback(self.out.decode().strip())

    def processEnded(self, reason: Failure) -> None:
        if not self.name.called:
            self.name.errback(Refused("the files could not be sent; see above"))
        self.gone.callback(None)
