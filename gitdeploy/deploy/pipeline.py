"""The deploy, on one page: `prepare` is everything that can say no, then the ref moves, then `activate` switches to it.
A push to the branch ``prepare`` ends after the first of them: the release is there to be looked at.

Before the ref moves every failure leaves every node as it was (`abandon`). After it, everything is already on the nodes: what
is left is one rename each, and a server that was killed in between finishes it when it starts (`reconcile`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from buildless.service import secret_variables

from ..errors import GitdeployError, Refused
from ..git.configvars import ConfigVars
from ..git.push import Push, Update
from ..git.repository import PREPARE, CommitInfo, ReleaseTag
from ..names import Place, spell
from ..nodes.node import Node
from . import claims, data, former, gate, mail, stages
from .attempt import Attempt
from .content import Faults
from .examination import Examination
from .lifecycle import Lifecycle, is_exclusive
from .onnode import OnNode
from .onnodes import OnNodes
from .services import change, provide
from .site import Site
from .stages import Plan

SAYS = {
    "git push": "pushed by", "prepare": "pushed to be looked at by", "rollback": "rolled back by",
    "redeploy": "deployed once more by", "config": "with another configuration by", "catch up": "for a node that lacks it, by",
}  # fmt: skip
log = Logger()


class Deploy(Attempt):
    """One attempt to make a commit live in one place. It is what a push, `rollback` and `redeploy` have in common."""

    def __init__(
        self,
        site: Site,
        place: Place,
        user: str,
        source: str,
        allowed: Callable[[], bool],
        only: Node | None = None,
        change: tuple[ConfigVars, ConfigVars] | None = None,
    ) -> None:
        super().__init__(site, place, user, source)
        self.allowed = allowed
        self.change = change  # config vars as they are, and as they are to be
        self.only = only  # the one node to deploy to, which lacks what the others have: no new release
        self.config = site.config
        self.repository = site.repository(place.app)
        self.problem: GitdeployError | None = None
        self.nodes = OnNodes(site, (), self.report)
        try:
            self.nodes = OnNodes(site, site.nodes_of(place) if only is None else (only,), self.report)
        except GitdeployError as error:
            self.problem = error  # `prepare` says it: so far nobody listens
        self.update: Update | None = None
        self.push = Push(())
        self.own: Lifecycle | None = None
        self.done = False  # the release is live, or, if that was all, ready to be looked at

    # The two phases, and what undoes the first.

    async def prepare(self, push: Push) -> None:
        """Everything that can say no. Raises Refused or another GitdeployError; `abandon` must follow then."""
        self.begin()
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
            for line in error.faults if isinstance(error, Faults) else (str(error),):
                self.report.error(line)
            if self.own is not None:
                await self.own.take_back()
                for line in self.own.afterwards():
                    self.report.error(line)
            raise type(error)(self.report.hide(str(error)), *map(self.report.hide, error.details)) from error
        except OSError as error:
            self.report.error(f"the server cannot write: {error}")
            raise Refused(f"the server cannot write: {error.strerror}; ask who keeps it to look at its disk") from error

    async def stages(self, push: Push) -> None:
        self.push = push
        if self.site.stopping:
            raise Refused("the server is stopping; push again in a moment")
        if self.only is None and (wrong := self.site.fleet.misplaced(self.environment.name, self.environment.members)):
            raise Refused(*wrong)
        if self.problem is not None:
            raise self.problem
        if self.gate() is None:
            return
        await self.stage("wait", self.wait_for_turn())
        if (held := self.site.held(self.place)) is not None:
            raise Refused(held.stuck(spell(self.place, self.site.config.default_environment)))
        self.update = update = self.gate()  # once more: somebody else's first push may have decided the branch
        assert update is not None
        gate.still(update, self.repository.ref(self.place.environment, update.ref), self.source)
        examination = Examination(self.site, self.place, push, self.report)
        plan = await self.stage("describe", self.describe(examination, update))
        missing = self.environment.missing if self.only is None else 0
        exclusive = is_exclusive(plan, self.earlier())
        await self.stage("connect", self.nodes.connect(missing, self.place.environment, exclusive=exclusive))
        await self.stage("survey", self.nodes.survey())
        self.nodes.look_at_balancer(self.environment)
        self.check_names(plan)
        stages.refuse_without_configuration(plan)
        if not all(on.has_version for on in self.nodes.nodes):
            tree, sizes = await self.stage("inspect", examination.tree(update, plan))
            await self.stage("choose", self.nodes.all(lambda on: on.choose(tree, sizes)))
        plan = self.set_plan(replace(plan, release=self.release_of(plan)))
        self.report.step("Delivering")
        await self.stage("stage", self.write_stage(plan.commit))
        await self.stage("deliver", self.nodes.all(OnNode.deliver))
        await self.stage("verify", self.nodes.all(OnNode.verify))
        if any(on.missing for on in self.nodes.nodes) or plan.description.pip:
            self.report.step("Installing what app.yaml asks for")
            await self.stage("packages", self.nodes.all(OnNode.install))
        if any(not account.url for account in plan.services):
            await former.refuse_new(self.site, plan, self.only)
            had = data.kept_in(self.site, self.place)
            plan = self.set_plan(await self.stage("services", provide(self.site, plan, self.nodes, self.report, had)))
        await self.stage("release", self.nodes.all(OnNode.write_release))
        own = self.own = Lifecycle(self.site, self.nodes, self.report, plan, self.earlier())
        if own.looking:
            self.report.step("Checking the environment")
            await self.stage("check_environment", own.check_environment())
        if own.testing:
            self.report.step("Running its tests")
            await self.stage("unit_test", own.unit_test())
        if own.bringing_up_to_date:
            await self.stage("update", own.update())
        self.report.step(f"Starting {plan.release}")
        await self.stage("boot", self.nodes.all(OnNode.boot))
        await self.stage("check", self.nodes.all(OnNode.check))
        if plan.description.health_check:
            await self.stage("health_check", own.health_check())
        self.event("prepared", release=plan.release, commit=plan.commit.oid)

    def committing(self) -> None:
        """The last look before the ref moves: whoever asked may still, and nobody else moved it. Raises Refused."""
        try:
            if not self.allowed():
                raise Refused(f"{self.user} may no longer push here")
            if self.update is not None and self.source not in ("redeploy", "config"):
                gate.still(self.update, self.repository.ref(self.place.environment, self.update.ref), self.source)
            if self.change is not None:
                self.site.config_vars(self.place).accept(self.place.environment, *self.change)
        except GitdeployError as error:
            self.report.error(str(error))
            raise
        self.committed = True

    async def activate(self) -> None:
        """The ref has moved: switch every node and record the release. What fails here is finished later, by `reconcile`."""
        try:
            if self.plan is None:
                self.end("nothing", note="nothing to deploy")
                return
            self.event("committed", nodes=[on.node.name for on in self.nodes.nodes])
            if not self.plan.only_prepares:
                await self.stage("activate", self.nodes.switch())
                self.record(self.plan)
                if self.plan.waiting or self.plan.new:
                    await self.stage("services", change(self.site, self.plan, self.nodes, self.report))
            if self.own is not None:
                await self.own.resume()
            self.announce(self.plan)
            await self.stage("workers", self.nodes.watch())
            self.end("prepared" if self.plan.only_prepares else "live", release=self.plan.release)
            self.done = True
        except Exception as error:
            log.failure("activating")
            self.report.error(
                "the ref has moved, but the switch failed; it is finished by: redeploy, or a restart of the server"
            )
            if self.own is not None and self.own.held:
                self.nodes.late.update(self.nodes.nodes)  # they let everybody in when they are switched
            self.end("failed", error=str(error))
        finally:
            tidying = Deferred.fromCoroutine(self.tidy())
            tidying.addErrback(lambda failure: log.failure("tidying up after a deploy", failure=failure))

    async def tidy(self) -> None:
        """What the pusher need not wait for, but the next deploy must: retire what was live, prune, repack."""
        try:
            if self.done:
                await self.stage("retire", self.nodes.tidy())
                self.site.collect(self.repository)
                if self.only is None:
                    self.nodes.rejoin()
        finally:
            await self.close()

    async def abandon(self, reason: BaseException) -> None:
        """The ref has not moved: leave every node as it was, and say why."""
        cancelled = isinstance(reason, CancelledError)
        text = "the pusher went away" if cancelled else str(reason) or type(reason).__name__
        try:
            if self.own is not None:
                await self.own.take_back()
            if self.plan is not None and self.turn is not None:
                await self.nodes.undo()
        finally:
            self.end("cancelled" if cancelled else "refused", error=text)
            await self.close()

    # The stages, each in a few lines.

    def gate(self) -> Update | None:
        branch = self.site.pushed(self.place) if self.source == "git push" else self.site.branch(self.place)
        return gate.deploying(self.push.updates, branch, self.place.environment)

    async def describe(self, examination: Examination, update: Update) -> Plan:
        commit = examination.commit(update.new)
        self.event("commit", commit=commit.oid)
        what = f"{self.place.app}, {self.place.environment}: {commit.oid[:7]} {commit.subject!r}"
        deployed = (self.site.pushed(self.place), self.site.branch(self.place))
        source = "prepare" if update.ref == PREPARE and PREPARE not in deployed else self.source
        self.report.step(f"{what}, {SAYS.get(source, source)} {self.user}")
        config = self.change[1] if self.change else self.site.config_vars(self.place).read(self.place.environment)
        self.report.mask(config.variables)
        plan = examination.plan(commit, self.user, source, config)
        self.report.mask({**secret_variables(plan.services), **config.variables})
        others = [one.plan for one in self.site.active if one.plan and one.environment.meets(self.environment)]
        if self.only is None and (problem := claims.contested(plan, others)):
            raise Refused(problem)
        return self.set_plan(plan)  # what it wants is kept for it from here on, before the nodes say who has what

    def check_names(self, plan: Plan) -> None:
        """Refuse locations that are another's; and addresses, of who pushes: what was accepted once stays, whatever others do."""
        for on in self.nodes.nodes:
            if problem := claims.taken(plan, on.facts, self.config):
                raise Refused(problem)
            if self.source == "git push" and (problems := mail.refused(plan, self.config.mail, on.facts)):
                raise Faults(*problems)

    def release_of(self, plan: Plan) -> str:
        """The number of the release: a new one, but for a node that only lacks what the others have."""
        if self.only is not None:
            for release in reversed(self.repository.releases(self.place.environment)):
                if release.commit == plan.commit.oid:
                    return f"v{release.number}"
        recorded = self.repository.release_names(self.place.environment)
        return stages.next_release(recorded, [on.facts for on in self.nodes.nodes])

    def earlier(self) -> str | None:
        """The commit of the latest release; None before the first."""
        latest = self.repository.releases(self.place.environment, 1)
        return latest[0].commit if latest else None

    def set_plan(self, plan: Plan) -> Plan:
        self.plan = plan
        self.nodes.plan(plan)
        return plan

    async def write_stage(self, commit: CommitInfo) -> None:
        if any(on.delivery for on in self.nodes.nodes):
            directory = self.site.stage(self.place)
            await directory.fill(
                self.site.runner, self.repository, commit.oid, self.push.environ, self.config.limits.step
            )

    def record(self, plan: Plan) -> None:
        if f"refs/releases/{plan.release}" in self.repository.release_names(self.place.environment):
            return
        deploy = self.entry.id if self.entry is not None else "-"
        lines = f"release {plan.release} of {self.place}\n\nfrom: {self.source}\ndeploy: {deploy}\nresult: live\n"
        now = int(self.site.reactor.seconds())
        self.repository.record(self.place.environment, ReleaseTag(plan.number, plan.commit.oid, self.user, now, lines))
        self.repository.keep(self.site.kept(self.place.app))
        if self.update is not None:
            self.repository.set_head(self.place.environment, self.update.ref)

    def announce(self, plan: Plan) -> None:
        seconds = self.site.reactor.seconds() - self.began
        what, hosts = ("Ready", (plan.looked_at,)) if plan.only_prepares else ("Live", stages.named(plan.hosts))
        self.report.step(f"{what}: {plan.release}, {plan.commit.oid[:7]} on {self.nodes.names}, after {seconds:.1f} s")
        for host in hosts:
            self.report.detail(self.nodes.nodes[0].node.url(host))

    async def close(self) -> None:
        self.nodes.close(rejoin=self.only is None)  # who deploys to one node tries again by himself
        await self.finish()
