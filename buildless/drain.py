"""Waits until a socket has no connection left: a release ends when it has answered what it was asked, and no request is cut.

``python3 drain.py SOCKET`` is what systemd runs before it ends a release (ExecStop=). It needs nothing but Python.
"""

from __future__ import annotations

import os
import sys
import time

LIMIT = 60.0  # seconds, after which what is left is ended
PAUSE = 0.05
CONNECTED = ("02", "03")  # waiting to be accepted, accepted (socket_state of linux/net.h)


def connections(table: str, path: str) -> int:
    """How many connections the socket at `path` has, by the kernel's `table`, /proc/net/unix (proc(5)).

    >>> connections("Num RefCount Protocol Flags Type St Inode Path\\n"
    ...             "00: 00000002 00000000 00010000 0001 01 100 /run/v1.sock\\n"
    ...             "00: 00000003 00000000 00000000 0001 03 101 /run/v1.sock\\n"
    ...             "00: 00000003 00000000 00000000 0001 03 102 /run/v11.sock\\n", "/run/v1.sock")
    1
    """
    rows = (line.split(None, 7) for line in table.splitlines()[1:])
    return sum(1 for row in rows if len(row) == 8 and row[7] == path and row[5] in CONNECTED)


def is_there(pid: str | None) -> bool:
    """Whether the process that would answer is still there; one that ended by itself has no id any more."""
    return pid is not None and os.path.exists(f"/proc/{pid}")


def main() -> None:
    path, deadline = sys.argv[1], time.monotonic() + LIMIT
    while is_there(os.environ.get("MAINPID")) and time.monotonic() < deadline:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
            if not connections(table.read(), path):
                return
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
