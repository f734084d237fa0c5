"""Calls that block, such as libcloud's, in threads: whoever waits can be cancelled, and can still learn what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Work(Generic[T]):
    """A call of `function` in a thread of its own, which does not keep the process from ending."""

    def __init__(self, reactor: Any, function: Callable[..., T], *args: Any) -> None:
        self.outcome: T | Failure | None = None
        self.over = False
        self.waiting: list[Deferred[None]] = []

        def work() -> None:
            outcome: T | Failure
            try:
                outcome = function(*args)
            except BaseException:
                outcome = Failure()
            reactor.callFromThread(self._ended, outcome)

        threading.Thread(target=work, name=getattr(function, "__name__", "work"), daemon=True).start()

    def _ended(self, outcome: T | Failure) -> None:
        self.outcome, self.over = outcome, True
        for deferred in self.waiting:
            deferred.callback(None)

    async def result(self) -> T:
        """What it returns, or raises. Can be cancelled, and asked for again: the work itself goes on."""
        if not self.over:
            waiter: Deferred[None] = Deferred(lambda deferred: self.waiting.remove(deferred))
            self.waiting.append(waiter)
            await waiter
        if isinstance(self.outcome, Failure):
            self.outcome.raiseException()
        return self.outcome  # type: ignore[return-value]
