"""One node during one deploy: what each stage does there."""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import chain
from typing import Any

from twisted.logger import Logger

from buildless.debs import ANSWERS
from buildless.debs import debs as debs_of
from buildless.node import facts, versions
from buildless.service import find, mounted
from buildless.values import split_location

from ..errors import CommandFailed, Refused
from ..git.tree import Tree
from ..nodes.node import Node
from ..text import count, readable, size
from . import apt, stages
from .report import Report
from .site import Site
from .stages import Delivery, Plan

log = Logger()
SHOWN = 10_000_000
"""Bytes from which on their way to a node is shown."""
STEADY = 2.0  # seconds that workers are watched after they were started


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
        self.whole = Delivery(None, (), ())  # the delivery that counts on nothing that is there
        self.sizes: dict[str, int] = {}  # bytes of each file of the version, by path
        self.libraries: list[str] = []  # directories beside the tree, of what `pip` asks for

    async def call(self, verb: str, **request: Any) -> dict[str, Any]:
        self.fresh()
        return await self.session.call(verb, self.limits.step, app=self.plan.key, **request)

    def fresh(self) -> None:
        """Begin anew to talk to the node if its side of the session is gone."""
        if self.session.ended:
            self.session = self.node.session()

    def say(self, text: str) -> None:
        self.report.detail(f"{self.node.name}: {text}")

    @property
    def has_version(self) -> bool:
        """Whether the version is there already: then it was inspected, delivered and verified once."""
        return self.plan.commit.oid in self.facts["versions"]

    @property
    def added(self) -> int:
        """The bytes that the version adds to the node's disk."""
        return sum(self.sizes[path] for path in self.delivery.paths) if self.delivery else 0

    @property
    def missing(self) -> list[str]:
        """The Debian packages that are to be installed."""
        found: list[str] = self.facts["missing_debs"]
        return found

    async def survey(self) -> None:
        """Ask the node what it has; refuse what it cannot run."""
        mail = bool(self.plan.mail) and self.node.installs
        debs = [
            *debs_of(self.plan.description, self.node.installs, mail),
            *chain(*(find(one).mount_debs for one in self.mounts)),
        ]
        python = self.node.python if self.plan.runs else None
        self.facts = await self.call("survey", debs=debs, python=python)
        self.refuse(stages.problems(self.plan, self.facts, 0, 0, installs=self.node.installs))
        if self.node.setup not in (None, self.facts["setup"]):
            self.say(
                f"it is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node {self.node.name}"
            )
        if self.plan.mail and not mail:
            self.say("it takes no mail, which only machines do (docs/app-yaml.rst)")

    async def choose(self, tree: Tree, sizes: Mapping[str, int]) -> None:
        """Decide what to send; refuse what the node has no room for."""
        if not self.has_version:
            self.whole = Delivery(None, tuple(tree.files), ())
            base = stages.base_of(self.facts["versions"], self.facts["releases"], self.facts["live"])
            self.delivery = self.difference(tree, base)
        new = self.delivery.paths if self.delivery else ()
        self.sizes = {path: sizes[tree.files[path]] for path in self.whole.paths}
        self.refuse(stages.problems(self.plan, self.facts, self.added, len(new), installs=self.node.installs))

    def refuse(self, found: Sequence[str]) -> None:
        if found:
            raise Refused(found[0], *found[1:])

    def difference(self, tree: Tree, base: str | None) -> Delivery:
        known = tree.repository.commit(base) if base else None
        if known is None:
            return self.whole
        changed, gone = tree.since(known.tree)
        return Delivery(known.oid, tuple(changed), tuple(gone))

    async def deliver(self) -> None:
        if self.delivery is None:
            self.say("has this version already, nothing to send")
            return
        try:
            answer = await self.receive(self.delivery)
        except Refused as error:
            answer = await self.receive(self.anew(error))
        source, paths = str(self.site.stage(self.plan.place).tree), self.delivery.paths
        progress = self.progress if self.added > SHOWN else lambda text: None
        try:
            sent = (
                paths if self.delivery.base is not None else None
            )  # then the stage is all of it, and the directory empty
            await self.session.send(source, sent, answer["directory"], self.limits.step, progress)
        except CommandFailed as error:
            await self.gone(error)
            raise
        self.say(f"{count(len(paths), 'file')} sent ({size(self.added)}), {answer['kept']:,} kept")

    async def receive(self, delivery: Delivery) -> dict[str, Any]:
        base, without = delivery.base, list(delivery.without)
        return await self.call("receive", version=self.plan.commit.oid, base=base, without=without)

    def anew(self, error: Refused) -> Delivery:
        """Count on nothing that is there if that is to blame for `error`, as somebody changed it; else raise it."""
        if self.delivery is None or self.delivery.base is None or not str(error).startswith(versions.CHANGED):
            raise error
        self.say(f"what it had of {self.delivery.base[:7]} was changed there; sending all of it")
        self.delivery = self.whole
        return self.whole

    async def gone(self, error: CommandFailed) -> None:
        """Say the plain thing where a tool failed for no other reason than that the node is not there, or full."""
        if problem := await self.node.reach():
            raise Refused(f"it does not answer: {problem}", *error.details) from error
        if any(os.strerror(errno.ENOSPC) in line for line in error.details):
            raise Refused(f"its disk is full; {facts.ROOM}", *error.details) from error

    async def verify(self) -> None:
        """Have the node prove that it has the very tree. If it does not, what it had before may be to blame: once more, whole."""
        if self.delivery is None:
            return
        commit = self.plan.commit
        try:
            await self.call("verify", version=commit.oid, tree=commit.tree, base=self.delivery.base)
        except Refused as error:
            self.anew(error)
            await self.deliver()
            await self.call("verify", version=commit.oid, tree=commit.tree, base=None)

    async def install(self) -> None:
        """Install the Debian packages that are missing; what `pip` asks for goes into a directory of its own."""
        description = self.plan.description
        if self.missing:
            limit = self.limits.step
            answers = [*(ANSWERS if self.plan.mail else ()), *description.deb_answers]
            with apt.followed(self.report, self.node.name, self.say, self.progress) as hear:
                await self.session.call("install", limit, hear, debs=self.missing, answers=answers, timeout=limit)
            self.say(f"{count(len(self.missing), 'Debian package')} installed: {' '.join(self.missing)}")
        if description.pip and self.plan.runs:
            self.fresh()
            answer = await self.session.call(
                "wheels", self.limits.step, self.say, app=self.plan.key, version=self.plan.commit.oid,
                pip=list(description.pip), python=self.node.python,
            )  # fmt: skip
            self.libraries = [answer["directory"]] if answer["directory"] else []
            what = " ".join(description.pip)
            self.say(
                f"{what} installed by pip"
                if answer.get("new", True)
                else f"{what} is there already, nothing for pip to do"
            )

    async def write_release(self) -> None:
        plan = self.plan
        serving = plan.release
        if plan.runs and plan.source != "redeploy":
            self.fresh()
            serving = await self.session.adopt(plan.key, plan.release, stages.fingerprint(plan)) or serving
        layout = self.node.layout(plan.key, plan.release)
        sockets = {kind: self.node.socket(plan.key, serving, kind) for kind in plan.starts}
        await self.call(
            "release",
            release=plan.release,
            version=plan.commit.oid,
            sockets=sockets,
            settings=stages.settings(plan, layout, self.node.path, self.libraries, self.linger),
            record={**stages.record(plan, self.site.reactor.seconds(), serving), "mounts": self.mounts},
            secret=self.site.secret(plan.place),
            config={name: base64.b64encode(content).decode() for name, content in plan.config.files.items()},
        )
        await self.session.propose(plan.key, plan.release)

    @property
    def mounts(self) -> dict[str, str]:
        """The services that are directories of another node: the address of that one, by their names."""
        return mounted(self.plan.services, self.node.address)

    @property
    def linger(self) -> float:
        """After how many seconds the release may end by itself when it is not live any more; 0 where the server sees to it."""
        return self.keep.linger if self.node.sleeps else 0.0

    async def boot(self) -> None:
        if not self.plan.starts:
            return
        began = self.site.reactor.seconds()
        started = await self.session.boot(self.plan.key, self.plan.release, self.limits.boot)
        took = self.site.reactor.seconds() - began
        self.say(f"started in {took:.1f} s" if started else "still runs, nothing to start")

    async def check(self) -> None:
        path, plan = self.plan.description.ping or "/", self.plan
        host = split_location(plan.hosts[0])[0]
        answer = await self.session.check(plan.key, plan.release, host, path, self.limits.ping)
        problem = stages.unhealthy(answer.status, path, asked=plan.description.ping is not None)
        if problem:
            output = await self.session.output(plan.key, plan.release)
            raise Refused(problem, *readable(answer.body)[:20], *output)
        self.say(f"{path} answered {answer.status} in {answer.seconds:.2f} s")

    async def unhold(self, counts: Mapping[str, int]) -> None:
        """Let everybody in again."""
        self.fresh()
        await self.session.unhold(self.plan.key, counts)

    async def undo(self) -> None:
        self.fresh()
        if self.plan.release:
            await self.session.stop(self.plan.key, self.plan.release)
        version = self.plan.commit.oid if self.delivery else None
        await self.call("discard", release=self.plan.release or None, version=version)

    async def switch(self) -> None:
        """Make the release live. All that it needs is on the node: once more, if only the connection or the agent is gone."""
        try:
            await self.activate()
        except Refused:
            if not self.session.ended or await self.node.reach():
                raise
            await self.activate()

    async def activate(self) -> None:
        if self.site.in_maintenance(self.plan.place):
            await self.call("maintenance", on=True)  # the node may be a new one
        await self.call("activate", release=self.plan.release)
        await self.session.switched(self.plan.key, self.plan.release, self.plan.config.scale)
        before = [one for one in self.facts["releases"] if one["release"] == self.facts["live"]]
        if self.plan.description.cron or any(one.get("cron") for one in before):
            await self.call("jobs", release=self.plan.release, here=self.site.runs_jobs(self.plan.place, self.node))

    async def watch(self) -> None:
        """Tell of workers that do not stay up: they are live already, and started again and again."""
        if self.plan.only_prepares or not self.plan.works:
            return
        for one in await self.session.steady(self.plan.key, STEADY):
            for line in one.lines:
                self.report.detail(line)
            self.report.error(
                f"{self.node.name}: {one.worker} does not stay up: {one.why}; it is started again and again"
            )

    async def tidy(self) -> None:
        keep, number = self.keep, self.plan.number
        self.fresh()
        live = self.facts["live"] if self.plan.only_prepares else self.plan.release
        await self.session.retire(self.plan.key, live or self.plan.release, keep.running, keep.linger)
        names = {f"v{kept}" for kept in range(max(1, number - keep.versions + 1), number + 1)}
        names.update(name for process in await self.session.processes(self.plan.key) for name in process.serves)
        answer = await self.call("prune", keep=sorted(names))
        if answer["releases"]:
            text = f"{', '.join(answer['releases'])} pruned, {size(answer['freed'])} freed"
            self.report.note(f"{self.node.name}: {text}")
            log.info("{app} on {node}: {text}", app=self.plan.key, node=self.node.name, text=text)
        if not self.plan.only_prepares:
            await self.call("spare", version=self.plan.commit.oid)


Work = Callable[[OnNode], Coroutine[Any, Any, None]]
