"""All nodes of one deploy: the same on each at once, and what to say when it went wrong on some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config import Environment
from ..errors import GitdeployError, Refused
from ..nodes.node import Node
from .absence import absent
from .onnode import OnNode, Work
from .report import Progress, Report
from .site import Site
from .stages import Plan

log = Logger()
Failed = list[tuple[OnNode, Failure]]


class OnNodes:
    """`nodes` are those that take part. `late` are those that could not be switched, or tidied up, when their turn was there."""

    terms: tuple[int, str, bool]  # how many may be absent, of which environment, and whether in truth none may

    def __init__(self, site: Site, nodes: Sequence[Node], report: Report) -> None:
        self.site, self.report = site, report
        progress = Progress(report)
        self.nodes = [OnNode(site, node, report, progress.of(node.name)) for node in nodes]
        self.late: set[OnNode] = set()
        self.absent: dict[OnNode, str] = {}  # those that are down, and why, which the environment may do without
        self.behind: set[str] = set()  # names of nodes whose services could not be changed; they may be none of `nodes`

    @property
    def switched(self) -> list[OnNode]:
        """Those that serve the release, once `switch` has ended."""
        return [on for on in self.nodes if on not in self.late]

    @property
    def names(self) -> str:
        return ", ".join(on.node.name for on in self.switched)

    def plan(self, plan: Plan) -> None:
        """Tell them what is deployed."""
        for on in self.nodes:
            on.plan = plan

    async def all(self, work: Work) -> None:
        """Do `work` on all at once; ends when all have ended. What failed is raised, with the names of the nodes."""
        self.check(await attempt(self.nodes, work))

    def check(self, failed: Failed) -> None:
        """Raise what failed, a defect first."""
        for _, failure in failed:
            if not failure.check(GitdeployError):
                failure.raiseException()
        if failed:
            raise refusal(failed, len(self.nodes)) from failed[0][1].value

    async def connect(self, missing: int, environment: str, *, exclusive: bool = False) -> None:
        """Go on without the nodes that are down, if no more than `missing` are, and not all. Raises Refused.

        Whoever is to let nobody in, `exclusive`, wants all.
        """
        self.terms = (missing, environment, exclusive)
        self.leave_out(await unreachable(self.nodes))

    async def survey(self) -> None:
        """Ask all what they have. One that is lost meanwhile is asked once more, or, if it is down, left out.

        Nothing has been done there yet. The same `missing` holds as for `connect`.
        """
        failed = await attempt(self.nodes, OnNode.survey)
        lost = [on for on, _ in failed if on.session.ended]
        down = await unreachable(lost)
        again = await attempt([on for on in lost if on not in down], OnNode.survey)
        self.check([one for one in failed if one[0] not in lost] + again)
        self.leave_out(down)

    def leave_out(self, down: Mapping[OnNode, str]) -> None:
        """Go on without these, with those that were down before. Raises Refused if they are too many."""
        names = {on.node.name: reason for on, reason in {**self.absent, **down}.items()}
        missing, environment, exclusive = self.terms
        nodes = len(self.nodes) + len(self.absent)
        said = {name: self.site.fleet.unready(name, reason) for name, reason in names.items()}
        unready = {name: named(words, [name], nodes) for name, words in said.items() if words is not None}
        if problem := absent(names, nodes, missing, environment, exclusive=exclusive):
            raise Refused(*(unready.values() or [problem]))  # those that are down may be back by then
        for on, reason in down.items():
            why = unready.get(on.node.name, f"{on.node.name} does not answer")
            self.report.error(
                f"{why}; it catches up when it is {'set up' if on.node.name in unready else 'back'}{missed(on)}"
            )
            self.nodes.remove(on)
            self.absent[on] = reason

    def look_at_balancer(self, environment: Environment) -> None:
        """Say if its balancer is not set up for it: that may give a new node nothing, or go on asking an old one."""
        if (name := environment.balancer) is None:
            return
        try:
            has = self.site.fleet.named(environment.name, "balancer", name).setup
            wanted = self.site.node(name).setup
        except GitdeployError as error:
            self.report.error(str(error))
            return
        if wanted not in (None, has):
            self.report.detail(
                f"{name}: the balancer is not set up as gitdeploy.yaml and this gitdeploy have it now;"
                f" run: gitdeploy setup-node {name}"
            )

    async def switch(self) -> None:
        """Make the release live. A node that cannot be switched now is switched when it can; only if none can it is Refused."""
        failed = await attempt(self.nodes, OnNode.switch)
        if len(failed) == len(self.nodes):
            raise refusal(failed, len(self.nodes))
        for on, failure in failed:
            why = failure.getErrorMessage()
            self.report.error(f"{on.node.name} is not switched yet ({why}); it is as soon as it can be")
            self.late.add(on)

    async def let_in(self, counts: Mapping[str, int]) -> None:
        """Answer again, but for those that could not be switched: what they have is not for the data as they are now."""
        for on, failure in await attempt(self.switched, lambda on: on.unhold(counts)):
            self.report.error(
                f"{on.node.name} answers nobody yet ({failure.getErrorMessage()}); it does as soon as it can"
            )
            self.late.add(on)

    async def watch(self) -> None:
        """See whether workers stay up. Where that cannot be asked it is no reason to say that the switch failed."""
        for on, failure in await attempt(self.switched, OnNode.watch):
            log.warn("{name}: {text}", name=on.node.name, text=failure.getErrorMessage())

    async def tidy(self) -> None:
        """What follows a switch, on each that could do it."""
        self.later(await attempt(self.switched, OnNode.tidy))

    async def undo(self) -> None:
        """Leave each as it was. One that does not answer is tidied up when it is back."""
        self.later(await attempt([on for on in self.nodes if on.facts], OnNode.undo))

    def rejoin(self) -> None:
        """Those that could not be brought up to date before may be now: nobody need wait for the next try."""
        for on in self.switched:
            if on.node.name in self.site.behind:
                self.site.rejoin(on.node)

    def later(self, failed: Failed) -> None:
        """What nobody needs to be told of is made up for."""
        for on, failure in failed:
            log.warn("{name}: {text}", name=on.node.name, text=failure.getErrorMessage())
            self.late.add(on)

    def close(self, *, rejoin: bool) -> None:
        """End the sessions; with `rejoin` those that are late get what they lack, and lose what they have too much."""
        for on in self.nodes:
            on.session.close()
            if on.facts and on.node.setup == on.facts["setup"]:  # an older one would keep setup-node waiting
                on.node.expect()
        if rejoin:
            for on in self.late:
                self.site.rejoin(on.node)
            for name in self.behind - {on.node.name for on in self.late}:
                self.site.rejoin(self.site.node(name))


async def unreachable(nodes: Sequence[OnNode]) -> dict[OnNode, str]:
    """Those of `nodes` that do not answer, and why."""
    reasons: list[tuple[bool, Any]] = await DeferredList(
        [Deferred.fromCoroutine(on.node.reach()) for on in nodes], consumeErrors=True
    )
    for failure in [result for success, result in reasons if not success]:
        failure.raiseException()
    return {on: str(reason) for on, (_, reason) in zip(nodes, reasons, strict=True) if reason is not None}


def missed(on: OnNode) -> str:
    """What else there is to say of a node's absence: jobs are not to be run twice, and so no other node runs them."""
    runs = on.plan.description.cron and on.site.runs_jobs(on.plan.place, on.node)
    return "; no job of cron is run until then" if runs else ""


async def attempt(nodes: Sequence[OnNode], work: Work) -> Failed:
    """Do `work` on `nodes` at once; returns those where it failed, in the order of `nodes`, when all have ended."""
    running: list[Deferred[None]] = [Deferred.fromCoroutine(work(on)) for on in nodes]
    results: list[tuple[bool, Any]] = await DeferredList(running, consumeErrors=True)
    return [(on, failure) for on, (success, failure) in zip(nodes, results, strict=True) if not success]


def refusal(failed: Failed, nodes: int) -> Refused:
    """What to say of the failures on some of so many nodes: which node, in what. The same reason is said once."""
    reasons: dict[str, list[str]] = {}
    for on, failure in failed:
        reasons.setdefault(failure.getErrorMessage(), []).append(on.node.name)
    first, *others = [named(reason, where, nodes) for reason, where in reasons.items()]
    on, failure = failed[0]
    error: Any = failure.value
    details = [named(line, [on.node.name], nodes) for line in getattr(error, "details", ())]
    return Refused(first, *details, *others)


def named(reason: str, where: Sequence[str], nodes: int) -> str:
    """The reason with the names before it; with a single node there is nothing to name."""
    return f"{', '.join(where)}: {reason}" if nodes > 1 else reason
