"""What a deploy has while it is under way: its turn, what its pusher sees, its lines in the journal, and how it is stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from ..names import Place
from .journal import Entry
from .report import Report
from .site import Site
from .stages import Plan

T = TypeVar("T")


class Attempt:
    """One attempt of `user` to change what is live in `place`. It counts as active until `finish`, and `ended` fires then."""

    def __init__(self, site: Site, place: Place, user: str, source: str) -> None:
        self.site, self.place, self.user, self.source = site, place, user, source
        self.environment = site.environment(place)
        self.entry: Entry | None = None  # from `begin` on: a push that sends nothing is no deploy
        self.plan: Plan | None = None  # as soon as it is known what is to be live
        self.report = Report(lambda text: self.event("say", text=text))
        self.began = site.reactor.seconds()
        self.turn: Any = None
        self.working: Deferred[None] | None = None
        self.stop_reason: str | None = None
        self.committed = False
        self.ended: Deferred[None] = Deferred()
        site.active.add(self)

    def begin(self) -> None:
        """From now on it is in the journal."""
        self.entry = self.site.journal.begin(self.place.app, self.place.environment, user=self.user, source=self.source)

    async def wait_for_turn(self) -> None:
        """One deploy at a time per place: wait, and say for whom."""
        self.turn = self.site.queue.turn(
            self.place,
            self.user,
            self.site.config.limits.wait,
            lambda who: self.report.step(f"Waiting for the deploy of {who}"),
        )
        try:
            await self.turn.__aenter__()
        except BaseException:
            self.turn = None
            raise

    async def stage(self, name: str, work: Awaitable[T]) -> T:
        """One stage, with its beginning and its time in the journal."""
        self.event("stage", stage=name)
        began = self.site.reactor.seconds()
        try:
            return await work
        finally:
            self.event("stage-end", stage=name, seconds=round(self.site.reactor.seconds() - began, 4))

    def show(self, sink: Callable[[bytes], None]) -> None:
        """From now on, what the pusher is to see goes to `sink`."""
        self.report.sink = sink

    def quiet(self) -> None:
        """From now on, show no progress of transfers."""
        self.report.quiet = True

    def cancel(self, reason: str) -> None:
        """Stop before the commit point, for `reason`; after it, nothing happens."""
        if not self.committed and self.working is not None:
            self.stop_reason = reason
            self.working.cancel()

    def event(self, name: str, **fields: Any) -> None:
        if self.entry is not None:
            self.entry.event(name, **fields)

    def end(self, result: str, **fields: Any) -> None:
        if self.entry is not None:
            self.entry.end(result, **fields)

    async def finish(self) -> None:
        """It is over: let the next one have its turn."""
        if self.entry is not None:
            self.entry.close()
        if self.turn is not None:
            turn, self.turn = self.turn, None
            await turn.__aexit__(None, None, None)
        self.site.active.discard(self)
        if not self.ended.called:
            self.ended.callback(None)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`. Whoever asked may go away now: that ends the wait, not the work."""
    ended: Deferred[T] = Deferred()
    Deferred.fromCoroutine(work).addBoth(ended.callback)
    return await ended
