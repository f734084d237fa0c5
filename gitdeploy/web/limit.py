"""Time limits that are cheap to push back: every wait has one, and most are pushed back with every packet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime


@dataclass(frozen=True)
class Limits:
    """What the front waits for and how much it takes; seconds, except `head` (bytes) and `connections` (how many)."""

    header: float = 20  # for a request's head, from its first byte (or the connection) on
    idle: float = 75  # between two requests
    client: float = 120  # without a byte of the request's body, or without the client taking any of the answer
    response: float = 12  # without a byte from the application, or without it taking any of the request
    tunnel: float = 3600  # without a byte either way after an upgrade
    linger: float = 30  # for the client to close, when it was answered before all of its request had come
    head: int = 64 * 1024
    connections: int = 4000  # each takes a file descriptor, and a second one while the application answers


class Limit:
    """Calls `late` once no `touch` came for the seconds given to `start`; starting anew replaces what ran before."""

    def __init__(self, reactor: IReactorTime, late: Callable[[], None]) -> None:
        self._reactor = reactor
        self._late = late
        self._seconds = 0.0
        self._until = 0.0
        self._call: IDelayedCall | None = None

    def start(self, seconds: float) -> None:
        """From now on, `late` is called after `seconds`."""
        self._seconds = seconds
        self._until = self._reactor.seconds() + seconds
        if self._call is not None and self._call.getTime() > self._until:
            self.stop()
        if self._call is None:
            self._call = self._reactor.callLater(seconds, self._fire)

    def touch(self) -> None:
        """Something happened: the seconds begin again."""
        self._until = self._reactor.seconds() + self._seconds

    def stop(self) -> None:
        """`late` is not called any more, until the next `start`."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _fire(self) -> None:
        self._call = None
        left = self._until - self._reactor.seconds()
        if left > 0:
            self._call = self._reactor.callLater(left, self._fire)
        else:
            self._late()
