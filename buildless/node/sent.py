"""Files that somebody sends along for a one-off command: they are here for as long as he is connected, and no longer.

They come as a tar archive, which is unpacked with the rights of the app. In it a directory for each word of the command that is to
name a file, called by its number, has that file alone: so its name is as it was, and two of one name are two.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import List, Tuple

from buildless.errors import NodeError
from buildless.node import stream
from buildless.node.layout import AppLayout, Layout
from buildless.node.stream import LATE, Stream
from buildless.node.versions import remove_tree

NEW = 60.0  # seconds
INSIDE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
"""How a directory of the app's is opened: a link that was put in its place is none."""


def files(layout: Layout, app: str, *, timeout: float) -> Stream:
    """Unpack the archive that comes, say the name of its directory in a line, and keep that until nobody wants it any more.

    `timeout` is in seconds. Raises NodeError where nothing is live that could want it.
    """
    home = layout.app(app)
    if home.live_release() is None:
        raise NodeError(f"nothing of {app} is live here; push it first")
    return Stream(lambda: keep(home, timeout))


def words_with(home: AppLayout, words: List[str], name: str) -> List[str]:
    """The words of a command with the paths of the files that were sent: each is put behind the word that it is for.

    Words are counted from 0. Raises NodeError where there are no such files, or not one for each word that has some. Root asks this
    of a directory that is the app's: no link in it is followed.
    """
    directory = home.sent(name)
    found = list(words)
    numbers = {str(number) for number in range(len(found))}
    try:
        top = os.open(directory, INSIDE)
    except OSError:
        raise NodeError("the files that were sent are gone; send them again") from None
    try:
        for number in os.listdir(top):
            if number not in numbers:
                raise NodeError(
                    f"{number!r} in the archive is no number of a word of the command; send the files again"
                )
            found[int(number)] += f"{directory}/{number}/{only_file(top, number)}"
    finally:
        os.close(top)
    return found


def only_file(top: int, number: str) -> str:
    """The name of the one file in the directory `number` of the open directory `top`. Raises NodeError if it has anything else."""
    with suppress(OSError):
        inside = os.open(number, INSIDE, dir_fd=top)
        try:
            names = os.listdir(inside)
            if len(names) == 1 and stat.S_ISREG(os.lstat(names[0], dir_fd=inside).st_mode):
                return names[0]
        finally:
            os.close(inside)
    raise NodeError(f"{number!r} in the archive is no directory with one file; send the files again")


def keep(home: AppLayout, timeout: float) -> int:
    """Do what `files` says; returns the exit status."""

    def late(number: int, frame: object) -> None:
        raise SystemExit(LATE)

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    sweep(home)
    directory, lock = make(home)
    try:
        if not unpack(home, directory):
            os.write(2, b"gitdeploy: the files did not arrive whole; send them again\n")
            return 1
        os.write(1, os.fsencode(f"{directory.name}\n"))
        for _ in stream.frames(0):
            pass
        return 0
    finally:
        for one in (signal.SIGTERM, signal.SIGALRM):  # they say that it is over, which it is
            signal.signal(one, signal.SIG_IGN)
        remove_tree(directory)
        os.close(lock)


def make(home: AppLayout) -> Tuple[Path, int]:
    """A new directory of the app's, and the descriptor that holds its lock: it has that before anybody sees it."""
    name = f"run-{secrets.token_hex(8)}"
    hidden = home.cache / f".{name}"
    hidden.mkdir(mode=0o700)
    lock = os.open(hidden, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    home.node.owners.give(home.name, hidden)
    return hidden.rename(home.sent(name)), lock


def sweep(home: AppLayout) -> None:
    """Delete what is left of those who were killed, or lost their power: nobody holds its lock."""
    for path in [*home.cache.glob("run-*"), *home.cache.glob(".run-*")]:
        with suppress(OSError):  # somebody does, or it has gone meanwhile
            if path.name[0] == "." and time.time() - path.lstat().st_mtime < NEW:
                continue  # it may not be locked yet
            lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
            finally:
                os.close(lock)


def unpack(home: AppLayout, directory: Path) -> bool:
    """Unpack what comes, as it comes; returns whether all of it did."""
    argv = ("tar", "--extract", "--file=-", "--no-same-owner", "--no-same-permissions")
    environ = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    rights = home.node.owners.process(home.name)
    with subprocess.Popen(argv, env=environ, cwd=directory, stdin=subprocess.PIPE, stdout=2, **rights) as tar:
        assert tar.stdin is not None
        try:
            whole = pour(tar.stdin.fileno())
        except BaseException:
            tar.kill()
            raise
        tar.stdin.close()
        return tar.wait() == 0 and whole


def pour(into: int) -> bool:
    """Pass on the input that comes; returns whether its end did, too."""
    for kind, data in stream.frames(0):
        if kind == stream.END:
            return True
        try:
            while kind == stream.DATA and data:
                data = data[os.write(into, data) :]
        except BrokenPipeError:
            return False  # it has said why
    return False
