"""The deploy, on one page: `prepare` is everything that can say no, then the ref moves, then `activate` switches to it.

Before the ref moves every failure leaves every node as it was (`abandon`). After it, everything is already on the nodes: what
is left is one rename each, and a server that was killed in between finishes it when it starts (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from ..errors import GitdeployError, Refused
from ..git.push import Push, Update
from ..git.repository import CommitInfo, ReleaseTag
from ..names import Place
from . import gate, stages
from .examination import Examination
from .journal import Entry
from .onnode import OnNode, on_all
from .report import Report
from .site import Site
from .stages import Plan

T = TypeVar("T")
SAYS = {"git push": "pushed by", "rollback": "rolled back by", "redeploy": "deployed once more by"}
log = Logger()


class Deploy:
    """One attempt to make a commit live in one place. It is what a push, `rollback` and `redeploy` have in common."""

    def __init__(self, site: Site, place: Place, user: str, source: str, allowed: Callable[[], bool]) -> None:
        self.site, self.place, self.user, self.source, self.allowed = site, place, user, source, allowed
        self.config = site.config
        self.environment = site.environment(place)
        self.repository = site.repository(place.app)
        self.entry: Entry | None = None  # from `prepare` on: a push that sends nothing is no deploy
        self.report = Report(lambda text: self.event("say", text=text))
        found = site.nodes_of(place)
        progress = self.report.progress if len(found) == 1 else lambda text: None
        self.nodes = [OnNode(site, node, self.report, progress) for node in found]
        self.began = site.reactor.seconds()
        self.turn: Any = None
        self.update: Update | None = None
        self.push = Push(())
        self.plan: Plan | None = None
        self.working: Deferred[None] | None = None
        self.stop_reason: str | None = None
        self.committed = False
        self.switched = False
        self.ended: Deferred[None] = Deferred()
        site.active.add(self)

    # The two phases, and what undoes the first.

    async def prepare(self, push: Push) -> None:
        """Everything that can say no. Raises Refused or another GitdeployError; `abandon` must follow then."""
        self.entry = self.site.journal.begin(self.place.app, self.place.environment, user=self.user, source=self.source)
        try:
            self.working = Deferred.fromCoroutine(self.stages(push))
            await self.working
        except CancelledError:
            if self.stop_reason is None:
                raise
            self.report.error(self.stop_reason)
            raise Refused(self.stop_reason) from None
        except GitdeployError as error:
            for line in error.details:
                self.report.detail(line)
            self.report.error(str(error))
            raise
        except OSError as error:
            self.report.error(f"the server cannot write: {error}")
            raise Refused(f"the server cannot write: {error.strerror}; ask who keeps it to look at its disk") from error

    async def stages(self, push: Push) -> None:
        self.push = push
        if self.site.stopping:
            raise Refused("the server is stopping; push again in a moment")
        if self.gate() is None:
            return
        await self.stage("wait", self.wait_for_turn())
        self.update = update = self.gate()  # once more: somebody else's first push may have decided the branch
        assert update is not None
        gate.still(update, self.repository.ref(self.place.environment, update.ref))
        examination = Examination(self.site, self.place, push, self.report)
        plan = await self.stage("describe", self.describe(examination, update))
        await self.stage("survey", self.each(OnNode.survey))
        if not all(on.has_version for on in self.nodes):
            tree, sizes = await self.stage("inspect", examination.tree(update, plan.commit))
            await self.stage("choose", self.each(lambda on: on.choose(tree, sizes)))
        recorded = self.repository.release_names(self.place.environment)
        plan = self.set_plan(replace(plan, release=stages.next_release(recorded, [on.facts for on in self.nodes])))
        self.report.step("Delivering")
        await self.stage("stage", self.write_stage(plan.commit))
        await self.stage("deliver", self.each(OnNode.deliver))
        await self.stage("verify", self.each(OnNode.verify))
        self.report.step(f"Starting {plan.release}")
        await self.stage("release", self.each(OnNode.write_release))
        await self.stage("boot", self.each(OnNode.boot))
        await self.stage("check", self.each(OnNode.check))
        self.event("prepared", release=plan.release, commit=plan.commit.oid)

    def committing(self) -> None:
        """The last look before the ref moves: whoever asked may still, and nobody else moved it. Raises Refused."""
        try:
            if not self.allowed():
                raise Refused(f"{self.user} may no longer push here")
            if self.update is not None and self.source != "redeploy":
                gate.still(self.update, self.repository.ref(self.place.environment, self.update.ref))
        except GitdeployError as error:
            self.report.error(str(error))
            raise
        self.committed = True

    async def activate(self) -> None:
        """The ref has moved: switch every node and record the release. What fails here is finished later, by `reconcile`."""
        try:
            if self.plan is None:
                self.end("nothing", note="tags deploy nothing")
                return
            self.event("committed")
            await self.stage("activate", self.each(OnNode.switch))
            self.record(self.plan)
            self.announce(self.plan)
            self.end("live", release=self.plan.release)
            self.switched = True
        except Exception as error:
            log.failure("activating")
            self.report.error(
                "the ref has moved, but the switch failed; it is finished by: redeploy, or a restart of the server"
            )
            self.end("failed", error=str(error))
        finally:
            tidying = Deferred.fromCoroutine(self.tidy())
            tidying.addErrback(lambda failure: log.failure("tidying up after a deploy", failure=failure))

    async def tidy(self) -> None:
        """What the pusher need not wait for, but the next deploy must: retire what was live, prune, repack."""
        try:
            if self.switched:
                await self.stage("retire", self.each(OnNode.tidy))
                self.site.collect(self.repository)
        finally:
            await self.close()

    async def abandon(self, reason: BaseException) -> None:
        """The ref has not moved: leave every node as it was, and say why."""
        cancelled = isinstance(reason, CancelledError)
        text = "the pusher went away" if cancelled else str(reason) or type(reason).__name__
        try:
            if self.plan is not None and self.turn is not None:
                await self.each(OnNode.undo)
        finally:
            self.end("cancelled" if cancelled else "refused", error=text)
            await self.close()

    # The stages, each in a few lines.

    def gate(self) -> Update | None:
        return gate.deploying(self.push.updates, self.site.branch(self.place), self.place.environment)

    async def wait_for_turn(self) -> None:
        self.turn = self.site.queue.turn(
            self.place,
            self.user,
            self.config.limits.wait,
            lambda who: self.report.step(f"Waiting for the deploy of {who}"),
        )
        try:
            await self.turn.__aenter__()
        except BaseException:
            self.turn = None
            raise

    async def describe(self, examination: Examination, update: Update) -> Plan:
        commit = examination.commit(update.new)
        self.event("commit", commit=commit.oid)
        what = f"{self.place.app}, {self.place.environment}: {commit.oid[:7]} {commit.subject!r}"
        self.report.step(f"{what}, {SAYS.get(self.source, self.source)} {self.user}")
        plan = examination.plan(commit, self.user, self.source)
        self.check_hosts(plan.hosts)
        return self.set_plan(plan)

    def check_hosts(self, hosts: tuple[str, ...]) -> None:
        for host in hosts:
            if owners := {on.node.owner(host) for on in self.nodes} - {None, self.site.key(self.place)}:
                raise Refused(f"{host} belongs to {owners.pop()}; take it out of the locations in app.yaml")

    def set_plan(self, plan: Plan) -> Plan:
        self.plan = plan
        for on in self.nodes:
            on.plan = plan
        return plan

    async def write_stage(self, commit: CommitInfo) -> None:
        if any(on.delivery for on in self.nodes):
            directory = self.site.stage(self.place)
            await directory.fill(
                self.site.runner, self.repository, commit.oid, self.push.environ, self.config.limits.step
            )

    def record(self, plan: Plan) -> None:
        deploy = self.entry.id if self.entry is not None else "-"
        lines = f"release {plan.release} of {self.place}\n\nfrom: {self.source}\ndeploy: {deploy}\nresult: live\n"
        now = int(self.site.reactor.seconds())
        self.repository.record(self.place.environment, ReleaseTag(plan.number, plan.commit.oid, self.user, now, lines))
        self.repository.keep(self.site.kept(self.place.app))
        if self.update is not None:
            self.repository.set_head(self.place.environment, self.update.ref)

    def announce(self, plan: Plan) -> None:
        names = ", ".join(on.node.name for on in self.nodes)
        seconds = self.site.reactor.seconds() - self.began
        self.report.step(f"Live: {plan.release}, {plan.commit.oid[:7]} on {names}, after {seconds:.1f} s")
        for host in plan.hosts:
            self.report.detail(self.nodes[0].node.url(host))

    # How stages run.

    async def stage(self, name: str, work: Awaitable[T]) -> T:
        """One stage, with its beginning and its time in the journal."""
        self.event("stage", stage=name)
        began = self.site.reactor.seconds()
        try:
            return await work
        finally:
            self.event("stage-end", stage=name, seconds=round(self.site.reactor.seconds() - began, 4))

    async def each(self, work: Callable[[OnNode], Coroutine[Any, Any, None]]) -> None:
        await on_all(self.nodes, work)

    def show(self, sink: Callable[[bytes], None]) -> None:
        """From now on, what the pusher is to see goes to `sink`."""
        self.report.sink = sink

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

    async def close(self) -> None:
        for on in self.nodes:
            on.session.close()
        if self.turn is not None:
            turn, self.turn = self.turn, None
            await turn.__aexit__(None, None, None)
        self.site.active.discard(self)
        if not self.ended.called:
            self.ended.callback(None)
