"""All processes that were started for one release on the embedded node: what answers requests, and, while it is live, workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from buildless.node.releases import number

from .node import Process
from .supervisor import CRASHES, GRACE, HEALTHY, Instance

log = Logger()


class Crew:
    """The processes of `release`. `answering` are the types that answer requests; `hire` makes a worker, by its number."""

    def __init__(self, release: str, answering: Mapping[str, Instance], hire: Callable[[str, int], Instance]) -> None:
        self.release, self.answering, self.hire = release, answering, hire
        self.workers: dict[tuple[str, int], Instance] = {}
        self.leaving: set[Instance] = set()
        self.live_since = 0.0
        self.retiring = False

    @property
    def all(self) -> list[Instance]:
        return [*self.answering.values(), *self.workers.values(), *self.leaving]

    @property
    def state(self) -> str:
        """That of the first process that answers requests and does not run."""
        if self.retiring:
            return "draining"
        return next((one.state for one in self.answering.values() if one.state != "running"), "running")

    @property
    def tail(self) -> list[str]:
        return [line for one in self.answering.values() for line in one.tail]

    async def boot(self, limit: float) -> None:
        """Start what answers requests; return when all of it is ready. Raises Refused with the output of what does not start."""
        booting = [Deferred.fromCoroutine(one.boot(limit)) for one in self.answering.values()]
        results: list[tuple[bool, Any]] = await DeferredList(booting, consumeErrors=True)
        for failure in [result for success, result in results if not success]:
            failure.raiseException()

    def restart(self) -> None:
        """Start it without waiting: it has run before. Requests wait."""
        for one in self.answering.values():
            one.state = "restarting"
            one.spawn()

    def work(self, counts: Mapping[str, int]) -> None:
        """Have so many workers of each type from now on. What is too much is asked to end."""
        wanted = [(kind, number) for kind, count in counts.items() for number in range(1, count + 1)]
        for place in [place for place in self.workers if place not in wanted]:
            self.dismiss(self.workers.pop(place))
        for place in wanted:
            if place not in self.workers:
                self.workers[place] = worker = self.hire(*place)
                worker.spawn()

    def dismiss(self, worker: Instance) -> None:
        """Have a worker end; nobody waits for it."""
        self.leaving.add(worker)
        ending = Deferred.fromCoroutine(worker.stop())
        ending.addErrback(lambda failure: log.failure("ending a worker", failure=failure))
        ending.addBoth(lambda _: self.leaving.discard(worker))

    async def retire(self) -> None:
        """End it, each process when it has answered what it accepted."""
        self.work({})
        self.retiring = True
        await DeferredList(
            [Deferred.fromCoroutine(one.retire()) for one in self.answering.values()], consumeErrors=True
        )

    async def stop(self, *, grace: float = GRACE) -> None:
        self.retiring = True
        await DeferredList([Deferred.fromCoroutine(one.stop(grace=grace)) for one in self.all], consumeErrors=True)

    def unsteady(self) -> dict[str, Instance]:
        """Workers that have ended and were started again, one of each type."""
        return {kind: one for (kind, _), one in self.workers.items() if one.restarts}


def state(instance: Instance, now: float) -> str:
    """In the words of `ps`. A worker says nothing when it is ready: it is up when it stays up."""
    failing = instance.crashes > CRASHES and now - instance.since < HEALTHY
    return "down" if not instance.program.listens and failing and instance.state == "running" else instance.state


def listed(node: str, crews: Iterable[tuple[str, Crew]], now: float) -> list[Process]:
    """The processes of an app, for `ps`: `crews` are those that serve its releases."""
    serving: dict[Crew, list[str]] = {}
    for release, crew in crews:
        serving.setdefault(crew, []).append(release)
    found = []
    for crew, releases in sorted(serving.items(), key=lambda one: number(one[0].release)):
        names = tuple(sorted(releases, key=number))
        for one in crew.all:
            kind, up = one.program.kind, round(now - one.since, 1)
            found.append(Process(node, crew.release, names, kind, state(one, now), one.pid, one.restarts, up))
    return found
