"""One deploy at a time per app and environment; who comes next waits, and is told for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import DeferredLock, TimeoutError

from ..errors import Refused

WORTH_SAYING = 0.3
"""Seconds of waiting after which it is told for whom; tidying up after a deploy takes less."""


@dataclass
class Line:
    """Those who want one place: the lock, who has it, and how many have it or wait."""

    lock: DeferredLock = field(default_factory=DeferredLock)
    holder: str = ""
    length: int = 0


class Queue:
    """First come, first served. `reactor` keeps the time limits."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.lines: dict[Hashable, Line] = {}

    @asynccontextmanager
    async def turn(
        self, place: Hashable, who: str, limit: float, waiting: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """Hold `place` for `who`. Calls `waiting` with the name of who has it, if that takes longer than `WORTH_SAYING`.

        Raises Refused after `limit` seconds of waiting.
        """
        line = self.lines.setdefault(place, Line())
        line.length += 1
        try:
            saying = self.reactor.callLater(WORTH_SAYING, lambda: waiting(line.holder))
            try:
                await line.lock.acquire().addTimeout(limit, self.reactor)
            except TimeoutError:
                raise Refused(
                    f"waited {limit:g} s for the deploy of {line.holder}; push again when it has ended"
                ) from None
            finally:
                if saying.active():
                    saying.cancel()
            try:
                line.holder = who
                yield
            finally:
                line.lock.release()
        finally:
            line.length -= 1
            if not line.length:
                del self.lines[place]
