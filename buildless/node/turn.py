"""One verb at a time for an app, and who asks last is the one that counts.

The server asks one thing of an app at a time. So a verb that is still at work when another one comes has lost whoever asked for
it: he was killed, cut off, or has given up, and what is asked now is to put in order what he left. The earlier one is ended.
What he had asked for may also come late: a network that was cut delivers in the end what was sent before it was. The server has one
connection to a node, so that what comes through an earlier one than the last is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import signal
import struct
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from buildless.errors import NodeError

ENDS = 5.0  # seconds in which a verb ends that is asked to; then it is killed
LIMIT = 20.0  # seconds until it is given up to wait for its end
PAUSE = 0.01
AT_EASE = 0.5  # seconds in which a process that has no verb to do ends by itself when its standard input does
LOCK = struct.Struct("hhqqi")  # struct flock (fcntl(2)): type, whence, start, len, pid


def latest(file: Path, connection: int) -> bool:
    """Whether no later connection than this one has been noted in `file`; then this one is."""
    with open(file, "a+", encoding="ascii") as noted:
        fcntl.flock(noted, fcntl.LOCK_EX)  # for as long as this takes
        noted.seek(0)
        known = int(noted.read() or 0)
        if known < connection:
            noted.truncate(0)
            noted.write(str(connection))
    return known <= connection


def began(pid: int) -> int:
    """When the connection began that a process was started through, in clock ticks since the boot: its sshd did (proc(5)).

    0 if it was started in another way.
    """
    while pid > 1:
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
        except FileNotFoundError:
            return 0
        fields = rest.split()
        if name.partition("(")[2].startswith("sshd"):
            return int(fields[19])
        pid = int(fields[1])
    return 0


@contextmanager
def turn(file: Path, app: str) -> Iterator[None]:
    """Work for `app` alone. A byte of the one `file` stands for each app: locks need no files that somebody must remove."""
    place = int.from_bytes(hashlib.sha256(app.encode()).digest()[:7], "big")
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "ab") as lock:
        began = time.monotonic()
        told = 0
        while not taken(lock.fileno(), place):
            waited = time.monotonic() - began
            if waited > LIMIT:
                raise NodeError(f"somebody else has worked on {app} for {LIMIT:g} s; push again")
            told = tell(holder(lock.fileno(), place), told, signal.SIGKILL if waited > ENDS else signal.SIGTERM)
            time.sleep(PAUSE)
        yield  # closing the file ends the lock


def taken(fd: int, place: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except (BlockingIOError, PermissionError):
        return False
    return True


def holder(fd: int, place: int) -> int:
    """The process that has the lock, as the kernel knows it; 0 if nobody has it any more."""
    kind, _, _, _, pid = LOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, LOCK.pack(fcntl.F_WRLCK, 0, place, 1, 0)))
    return pid if kind != fcntl.F_UNLCK and pid > 0 else 0


def tell(pid: int, told: int, number: int) -> int:
    """Send a process a signal, once of each kind; returns what it has been told by now."""
    mark = pid * 64 + number
    if pid and mark != told:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
    return mark


def end_with_asker() -> None:
    """From now on this process ends when its standard input does, also in the middle of a verb, and with what that has started.

    It does so, too, when nobody has the other end of its standard output: where whoever asked is gone sshd closes that at once, but
    standard input only after all that is queued for it, of which a command may read nothing.
    """

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)  # not a sudden end: what runs a command ends it

    def watch() -> None:
        gone = select.poll()
        # POLLHUP and POLLERR are always told; not POLLIN: that is the next request
        gone.register(0, select.POLLRDHUP)
        gone.register(1, 0)  # POLLERR, of a pipe
        while not any(event & (select.POLLHUP | select.POLLRDHUP | select.POLLERR) for _, event in gone.poll()):
            time.sleep(1)
        time.sleep(AT_EASE)
        signal.pthread_kill(main, signal.SIGTERM)

    main = threading.get_ident()
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=watch, daemon=True).start()
