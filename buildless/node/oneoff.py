"""One-off commands: one that somebody asks for is run beside the live release, and ends with the one who asked.

It is a process of its own with the release's environment (buildless/oneoff.py). This process stands between it and the server.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List

from buildless.errors import NodeError
from buildless.lifecycle import HELD
from buildless.node import stream
from buildless.node.layout import AppLayout, Layout
from buildless.node.sent import words_with
from buildless.node.stream import LATE, Stream

TICK = 0.1  # seconds between looks whether it has ended, as what it started may hold its terminal open
GRACE = 2.0  # seconds that it gets to end when it has to
VEOF = b"\x04"
Start = Callable[[int], "subprocess.Popen[bytes]"]
"""Starts it; takes the descriptor of its terminal, or that of a pipe for its standard input."""


class Late(BaseException):
    """Its time is over."""


@dataclass(frozen=True)
class Asked:
    """A command as somebody asks for it; without `words` it is a Python to type into.

    `python` is what runs this package, `terminal` the kind and size of his, `timeout` is in seconds. It is of the `release` that
    is live if none is named. `tests` says that it is the application's own tests: they get an environment without services.
    `files` names the directory of those that he sent along (sent.py).
    """

    python: str
    words: List[str]
    terminal: Dict[str, Any] | None
    timeout: float
    release: str | None = None
    tests: bool = False
    files: str | None = None


def run(layout: Layout, app: str, **said: Any) -> Stream:
    """Run a command, as Asked says it, as a child of this process."""
    asked = Asked(**said)
    terminal = asked.terminal
    home = layout.app(app)
    let_in(home, asked)
    directory, told = directory_of(home, asked), request(home, asked)
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(layout.root / "lib")}
    argv = (asked.python, "-m", "buildless.oneoff", str(directory), told)

    def start(inner: int) -> subprocess.Popen[bytes]:
        out = inner if terminal else None
        return subprocess.Popen(
            argv, env=environ, cwd=layout.root / "lib", stdin=inner, stdout=out, stderr=out, start_new_session=True
        )

    return Stream(lambda: attend(start, end, terminal, asked.timeout))


def let_in(home: AppLayout, asked: Asked) -> None:
    """Raises NodeError while nobody may write but a deploy, whose commands are of a release that they name.

    It looks once more when it has begun (buildless/oneoff.py): `hold` marks first, and then ends what has begun.
    """
    if asked.release is None and home.held.exists():
        raise NodeError(HELD)


def directory_of(home: AppLayout, asked: Asked) -> Path:
    """The directory of the release that is meant. Raises NodeError if there is none."""
    found = asked.release or home.live_release()
    if found is None:
        raise NodeError(f"nothing of {home.name} is live here; push it first")
    return home.release(found)


def request(home: AppLayout, asked: Asked) -> str:
    """What buildless.oneoff is told; without ``$``, which means something to systemd."""
    if not all(isinstance(word, str) and "\0" not in word for word in asked.words):
        raise NodeError("the command is none; write a file of the tree, such as bin/import.py")
    words = asked.words if asked.files is None else words_with(home, asked.words, asked.files)
    term = str(asked.terminal["term"]) if asked.terminal else None
    told = {"words": words, "term": term, "tests": bool(asked.tests)}
    if asked.release is None:
        told["held"] = str(home.held)
    return json.dumps(told).replace("$", "\\u0024")


def attend(
    start: Start, end: Callable[[subprocess.Popen[bytes]], None], terminal: Dict[str, Any] | None, timeout: float
) -> int:
    """Stand between a command and the one who asked for it; returns its exit status.

    It is ended when its time is over, and when this process is: by SIGTERM, which also comes when standard input hangs up.
    """
    outer, inner = pty.openpty() if terminal else os.pipe()[::-1]
    if terminal:
        resize(outer, int(terminal["rows"]), int(terminal["columns"]))
    child = start(inner)
    os.close(inner)

    def late(number: int, frame: object) -> None:
        raise Late

    try:
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, timeout)
        threading.Thread(target=feed, args=(outer, terminal is not None), daemon=True).start()
        if terminal:
            copy(outer, child)
        return status(child.wait())
    except Late:
        os.write(2, f"gitdeploy: it did not end within {timeout:g} s, and was ended\n".encode())
        return LATE
    except BrokenPipeError:
        return status(-signal.SIGPIPE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        end(child)


def status(code: int) -> int:
    """An exit status as shells say it."""
    return code if code >= 0 else 128 - code


def resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def feed(outer: int, is_terminal: bool) -> None:
    """Pass on what comes from the one who asked, in a thread of its own: the command may not want to read it."""
    for kind, data in stream.frames(0):
        with suppress(OSError):  # it does not read any more
            if kind == stream.DATA:
                while data:
                    data = data[os.write(outer, data) :]
            elif kind == stream.SIZE and is_terminal:
                resize(outer, *stream.ROWS_AND_COLUMNS.unpack(data))
            elif kind == stream.END and is_terminal:
                os.write(outer, VEOF)
            elif kind == stream.END:
                os.close(outer)


def copy(outer: int, child: subprocess.Popen[bytes]) -> None:
    """What is written to a terminal, until the command ends."""
    while True:
        ended = child.poll() is not None  # before the look, so that all it wrote is there then
        readable = select.select([outer], [], [], 0 if ended else TICK)[0]
        data = b""
        if readable:
            with suppress(OSError):  # nobody has the other side open
                data = os.read(outer, 65_536)
        if data:
            write(data)
        elif ended:
            return
        elif readable:
            time.sleep(TICK)


def write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def end(child: subprocess.Popen[bytes]) -> None:
    """End a command, and what it started in its session."""
    until = time.monotonic() + GRACE
    for number in (signal.SIGHUP, signal.SIGTERM):
        kill(child.pid, number)
    while session(child.pid) and time.monotonic() < until:
        child.poll()
        time.sleep(TICK / 2)
    kill(child.pid, signal.SIGKILL)
    child.wait()


def kill(leader: int, number: int) -> None:
    for pid in session(leader):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def session(leader: int) -> List[int]:
    """The processes of a session that still run (proc(5), stat)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, number = path.read_text().rpartition(")")[2].split()[:4]
            if int(number) == leader and state not in "ZX":
                found.append(int(path.parent.name))
    return found
