"""Which TCP ports of loopback an application's processes may be given, and who listens there, or at a unix socket.

On a node each user of an app has a few ports of its own, by its number, and the firewall lets nobody else connect to them
(node-setup/root/usr/lib/gitdeploy/ports). A file that is locked says which of them is taken, until the process that holds it ends.
"""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path
from typing import IO, List, Optional, Tuple

from buildless.errors import BuildlessError

FIRST, EACH = 16000, 10
"""The first port, and how many each user has."""

USERS = range(100, 1000)
"""System users, as useradd(8) makes them."""

ONLY_IPV6 = "00000000000000000000000001000000"
"""::1 in /proc/net/tcp6. What listens at all addresses, or at an IPv4 one, answers at 127.0.0.1."""

ACCEPTS = 0x10000  # a flag in /proc/net/unix: somebody listens
LISTENING = "0A"  # the state of a socket in /proc/net/tcp (proc(5))


def ports_of(uid: int) -> range:
    """The ports of a user.

    >>> ports_of(100), ports_of(999)
    (range(16000, 16010), range(24990, 25000))
    """
    if uid not in USERS:
        raise BuildlessError(f"the user {uid} is no system user, and so has no ports; listen at $SOCKET instead")
    first = FIRST + (uid - USERS.start) * EACH
    return range(first, first + EACH)


def take_port(directory: Path, uid: int) -> Tuple[int, IO[str]]:
    """A port of the user's that nobody has, and the open file that keeps it; `directory` is for these files."""
    for port in ports_of(uid):
        file = open(directory / f".port-{port}", "w", encoding="ascii")  # noqa: SIM115 - it stays open
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            file.close()
            continue
        return port, file
    raise BuildlessError(
        f"all {EACH} ports of the app are taken; listen at $SOCKET instead, or keep fewer releases running"
    )


def free_port() -> int:
    """Any port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listener(port: int, uid: int, tables: Optional[List[str]] = None) -> Optional[str]:
    """The address at which a process of the user `uid` listens on loopback; None if none does.

    Others can listen there, too, while it does not: they are not to get its requests.
    """
    for number, table in enumerate(tables or read_tables()):
        for line in table.splitlines()[1:]:
            row = line.split()
            address, _, at = row[1].rpartition(":")
            if row[3] == LISTENING and int(at, 16) == port and int(row[7]) == uid:
                return "::1" if number == 1 and address == ONLY_IPV6 else "127.0.0.1"
    return None


def listens(path: str) -> bool:
    """Whether somebody listens at a unix socket. To connect instead would be a connection more than the program expects."""
    rows = (line.split(None, 7) for line in read_table("unix").splitlines())
    return any(len(row) == 8 and row[7] == path and int(row[3], 16) & ACCEPTS for row in rows if row[0] != "Num")


def read_tables() -> List[str]:
    return [read_table(name) for name in ("tcp", "tcp6")]


def read_table(name: str) -> str:
    """A table of the kernel's; empty if there is none."""
    try:
        return Path(f"/proc/self/net/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
