"""A process's way to the socket that it shares with others: no more come in than can be heard, and nobody who came in is dropped.

What waits outside, in the socket's queue, is for whichever process has room first. gunicorn can limit connections, too, and end a
process after so many requests. But 21 to 25, Debian 13's among them, wait until an accepted connection has something to read: they
look no more when the last one was accepted, so that it waits for an earlier request, and drop who waits when the process ends.
"""

from __future__ import annotations

import errno
import random
import threading
import time
import weakref
from typing import Any, Callable, Sequence

PAUSE = 0.005  # seconds


class Door:
    """A listening socket, `listener`, for one process; no more than `most` are inside.

    It can be shut for this process only. Closing the socket would not do: the other processes hold the same one, and so epoll would
    go on reporting it.
    """

    def __init__(self, listener: Any, most: int) -> None:
        self._listener, self._most = listener, most
        self._changed = threading.Condition()
        self._shut = False
        self._inside: weakref.WeakSet[Any] = weakref.WeakSet()

    def accept(self) -> Any:
        """See socket.accept(2). Nobody, when it is shut or there is no room; gunicorn would ask again at once."""
        with self._changed:
            if not self._changed.wait_for(self._has_room, PAUSE):
                raise BlockingIOError(errno.EAGAIN, "this process accepts no more")
            connection, address = self._listener.accept()
            self._inside.add(connection)
            return connection, address

    def _has_room(self) -> bool:
        return not self._shut and self.inside() < self._most

    def shut(self) -> None:
        with self._changed:
            self._shut = True

    def leave(self, connection: Any) -> None:
        """It is answered."""
        with self._changed:
            self._inside.discard(connection)
            self._changed.notify()

    def inside(self) -> int:
        """How many came in that are neither answered nor closed."""
        with self._changed:
            return sum(1 for connection in self._inside if connection.fileno() != -1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


def hear(doors: Sequence[Door], heard: Callable[[], int], deadline: float, meanwhile: Callable[[], object]) -> None:
    """Wait until nobody is inside the doors, which are shut, but those that are `heard`: it says how many these are.

    Until `deadline` (time.monotonic) at the latest: somebody may say nothing. `meanwhile` is called again and again.
    """
    while sum(door.inside() for door in doors) > heard() and time.monotonic() < deadline:
        meanwhile()
        time.sleep(PAUSE)


def some(most: int, jitter: int) -> int:
    """After how many requests a process is replaced; 0 is never. Processes that began together should not end together."""
    return most + random.randint(0, jitter) if most else 0  # noqa: S311 - no secret
