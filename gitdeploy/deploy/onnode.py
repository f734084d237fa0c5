"""One node during one deploy: what each stage does there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from ..errors import GitdeployError, Refused
from ..git.tree import Tree
from ..nodes.node import Node
from . import stages
from .report import Report, count, size
from .site import Site
from .stages import Delivery, Plan

log = Logger()
SHOWN = 10_000_000
"""Bytes from which on their way to a node is shown."""


class OnNode:
    """A node's part in a deploy. The methods are the stages, in order; each is safe to repeat, and raises Refused.

    `progress` gets what is shown in place while files are sent.
    """

    plan: Plan  # set as soon as it is known what is deployed

    def __init__(self, site: Site, node: Node, report: Report, progress: Callable[[str], None]) -> None:
        self.site, self.node, self.report, self.progress = site, node, report, progress
        self.limits, self.keep = site.config.limits, site.config.keep
        self.session = node.session()
        self.facts: dict[str, Any] = {}
        self.delivery: Delivery | None = None  # None: the version is there already
        self.added = 0  # bytes that the version adds to the node's disk

    async def call(self, verb: str, **request: Any) -> dict[str, Any]:
        if self.session.ended:
            self.session = self.node.session()
        return await self.session.call(verb, self.limits.step, app=self.plan.key, **request)

    @property
    def has_version(self) -> bool:
        """Whether the version is there already: then it was inspected, delivered and verified once."""
        return self.plan.commit.oid in self.facts["versions"]

    async def survey(self) -> None:
        """Ask the node what it has; refuse what it cannot run."""
        debs, python = list(self.plan.description.deb), self.node.python if self.plan.runs else None
        self.facts = await self.call("survey", debs=debs, python=python)
        self.refuse(stages.problems(self.plan, self.facts, 0, 0))

    async def choose(self, tree: Tree, sizes: Mapping[str, int]) -> None:
        """Decide what to send; refuse what the node has no room for."""
        if not self.has_version:
            base = stages.base_of(self.facts["versions"], self.facts["releases"], self.facts["live"])
            self.delivery = self.difference(tree, base)
        new = self.delivery.paths if self.delivery else ()
        self.added = sum(sizes[tree.files[path]] for path in new)
        self.refuse(stages.problems(self.plan, self.facts, self.added, len(new)))

    def refuse(self, found: Sequence[str]) -> None:
        if found:
            for line in found[1:]:
                self.report.error(line)
            raise Refused(found[0])

    def difference(self, tree: Tree, base: str | None) -> Delivery:
        known = tree.repository.commit(base) if base else None
        if known is None:
            return Delivery(None, tuple(tree.files), ())
        changed, gone = tree.since(known.tree)
        return Delivery(known.oid, tuple(changed), tuple(gone))

    async def deliver(self) -> None:
        if self.delivery is None:
            self.report.detail(f"{self.node.name}: has this version already, nothing to send")
            return
        base, paths, without = self.delivery.base, self.delivery.paths, self.delivery.without
        answer = await self.call("receive", version=self.plan.commit.oid, base=base, without=list(without))
        source = str(self.site.stage(self.plan.place).tree)
        progress = self.progress if self.added > SHOWN else lambda text: None
        await self.session.send(source, paths, answer["directory"], self.limits.step, progress)
        self.report.detail(
            f"{self.node.name}: {count(len(paths), 'file')} sent ({size(self.added)}), {answer['kept']:,} kept"
        )

    async def verify(self) -> None:
        if self.delivery is not None:
            commit = self.plan.commit
            await self.call("verify", version=commit.oid, tree=commit.tree, base=self.delivery.base)

    async def write_release(self) -> None:
        plan = self.plan
        serving = plan.release
        if plan.runs and plan.source != "redeploy":
            serving = self.node.adopt(plan.key, plan.release, stages.fingerprint(plan)) or serving
        layout = self.node.layout(plan.key, plan.release)
        socket = self.node.layout(plan.key, serving)["socket"] if plan.runs else None
        await self.call(
            "release",
            release=plan.release,
            version=plan.commit.oid,
            socket=socket,
            settings=stages.settings(plan, layout, self.node.path),
            record=stages.record(plan, self.site.reactor.seconds()),
        )

    async def boot(self) -> None:
        if not self.plan.runs:
            return
        began = self.site.reactor.seconds()
        started = await self.node.boot(self.plan.key, self.plan.release, self.limits.boot)
        took = self.site.reactor.seconds() - began
        self.report.detail(
            f"{self.node.name}: {f'started in {took:.1f} s' if started else 'still runs, nothing to start'}"
        )

    async def check(self) -> None:
        path, plan = self.plan.description.ping or "/", self.plan
        answer = await self.node.check(plan.key, plan.release, plan.hosts[0], path, self.limits.ping)
        problem = stages.unhealthy(answer.status, path, asked=plan.description.ping is not None)
        if problem:
            for line in [*answer.body.splitlines()[:20], *self.node.output(plan.key, plan.release)]:
                self.report.detail(line)
            raise Refused(problem)
        self.report.detail(f"{self.node.name}: {path} answered {answer.status} in {answer.seconds:.2f} s")

    async def undo(self) -> None:
        await self.node.stop(self.plan.key, self.plan.release)
        version = self.plan.commit.oid if self.delivery else None
        await self.call("discard", release=self.plan.release or None, version=version)

    async def switch(self) -> None:
        try:
            await self.call("activate", release=self.plan.release)
        except Refused:
            if not self.session.ended:
                raise
            await self.call("activate", release=self.plan.release)  # its agent was killed; all it needs is on the node
        self.node.switched(self.plan.key, self.plan.release)

    async def tidy(self) -> None:
        keep, number = self.keep, self.plan.number
        await self.node.retire(self.plan.key, self.plan.release, keep.running, keep.linger)
        names = {f"v{kept}" for kept in range(number - keep.versions + 1, number + 1)}
        names.update(name for process in self.node.running(self.plan.key) for name in process.serves)
        answer = await self.call("prune", keep=sorted(names))
        if answer["releases"]:
            gone, freed = ", ".join(answer["releases"]), size(answer["freed"])
            log.info(
                "{app}: {gone} pruned on {node}, {freed} freed",
                app=self.plan.key,
                gone=gone,
                node=self.node.name,
                freed=freed,
            )
        await self.call("spare", version=self.plan.commit.oid)


async def on_all(nodes: Sequence[OnNode], work: Callable[[OnNode], Coroutine[Any, Any, None]]) -> None:
    """The same on all nodes at once. It ends when all have ended; then the first failure is raised, with its node's name."""
    running: list[Deferred[None]] = [Deferred.fromCoroutine(work(on)) for on in nodes]
    results: list[tuple[bool, Any]] = await DeferredList(running, consumeErrors=True)
    for on, (success, failure) in zip(nodes, results, strict=True):
        if success:
            continue
        if not failure.check(GitdeployError):
            failure.raiseException()
        where = f"{on.node.name}: " if len(nodes) > 1 else ""
        raise Refused(f"{where}{failure.getErrorMessage()}", *failure.value.details) from failure.value
