"""What an application does itself around a switch: the commands that app.yaml names, on each node or once per environment."""

from __future__ import annotations

import functools
import shlex

from twisted.internet.defer import CancelledError

from buildless.lifecycle import CommandLine
from buildless.node.stream import LATE
from buildless.service import find

from ..errors import GitdeployError, Refused
from ..names import spell
from ..nodes.node import Node, Say
from ..nodes.oneoff import Lines, OneOff
from . import data
from .onnode import OnNode
from .onnodes import OnNodes
from .report import Report
from .site import Held, Site
from .stages import Plan


class Lifecycle:
    """The commands of one deploy. `earlier` is the commit of the latest release of the environment; None before the first.

    `backup` is what the data as they were are called on the node that has them, once that is made.
    """

    def __init__(self, site: Site, nodes: OnNodes, report: Report, plan: Plan, earlier: str | None) -> None:
        self.site, self.nodes, self.report, self.plan, self.earlier = site, nodes, report, plan, earlier
        self.description = plan.description
        self.backup: str | None = None
        self.held = False  # nobody is answered
        self.is_stuck = False  # they could not be put back, so nobody is let in
        self.is_back = False  # the data are as they were
        self.began = False  # the data may be as the new version wants it, and not as what is live does

    @property
    def bringing_up_to_date(self) -> CommandLine:
        """The command that brings data up to date for this version; empty if there is nothing to do."""
        return bringing_up_to_date(self.plan, self.earlier)

    @property
    def getting_ready(self) -> CommandLine:
        """What is live does before an update, as its own app.yaml says: it may not have what the new one names."""
        try:
            return data.described(self.site, self.plan.place).before_update
        except GitdeployError as error:  # it was deployed when app.yaml was read otherwise
            self.report.error(f"before_update of what is live is not run: {error}")
            return ()

    async def check_environment(self) -> None:
        """On each node, before anything else of the release runs there: its configuration, then all else. Raises Refused."""
        for what, words in self.looking:
            await self.nodes.all(functools.partial(perform, words=words, what=what, release=self.plan.release))

    @property
    def looking(self) -> list[tuple[str, CommandLine]]:
        """The commands that look whether a node has all that the application needs."""
        checker = self.description.config.checker if self.description.config else ()
        found = [
            ("the checker of its configuration", checker),
            ("check_environment", self.description.check_environment),
        ]
        return [(what, words) for what, words in found if words]

    @property
    def testing(self) -> CommandLine:
        """The application's own tests, if they must pass here; empty for what has been live: going back to it need not wait."""
        place, words = self.plan.place, self.description.unit_test
        if not (words and self.site.environment(place).unit_test):
            return ()
        releases = self.site.repository(place.app).releases(place.environment)
        return () if any(release.commit == self.plan.commit.oid for release in releases) else words

    async def unit_test(self) -> None:
        """On one node, before anything of the new version touches data, and out of reach of what there are. Raises Refused."""
        await perform(self.nodes.nodes[0], self.testing, "unit_test", self.plan.release, tests=True)

    async def update(self) -> None:
        """On one node, once for all of them: first what is live prepares for it, then the new version does it. Raises Refused.

        Before it there is a backup of the services. An exclusive one lets nobody in until the deploy has ended.
        """
        first = self.nodes.nodes[0]
        exclusive = is_exclusive(self.plan, self.earlier)
        if exclusive and self.nodes.absent:  # known only since its services were found to be empty
            names = ", ".join(on.node.name for on in self.nodes.absent)
            raise Refused(f"an exclusive update wants all nodes; push again when {names} is back")
        if self.earlier is not None:
            if first.facts["live"] and (words := self.getting_ready):
                self.report.step("Before the update")
                await perform(first, words, "before_update")
            if exclusive:
                self.report.step("Letting nobody in")
                await self.hold()
            self.backup = await data.keep(
                self.site, self.plan.place, self.report.detail, data.local(self.plan.services)
            )
            if self.held:
                self.site.hold(self.plan.place, Held(self.plan.release, self.plan.commit.oid, self.backup))
        what = "install" if self.bringing_up_to_date == self.description.install else "update"
        self.report.step("Installing" if what == "install" else "Updating")
        self.began = True
        await perform(first, self.bringing_up_to_date, what, self.plan.release)

    async def hold(self) -> None:
        self.held = True
        self.site.hold(self.plan.place, Held(self.plan.release, self.plan.commit.oid))
        await self.nodes.all(lambda on: on.session.hold(on.plan.key))

    async def resume(self) -> None:
        """The release is live, or is not to be: let everybody in again. A node that cannot do so now does when it can."""
        if self.held:
            self.site.hold(self.plan.place, None)
            self.held = False
            await self.nodes.let_in(self.plan.config.scale)

    async def take_back(self) -> None:
        """The deploy has failed: since an exclusive update began nobody has written: its backup loses nothing. Safe to repeat."""
        if not self.held:
            return
        try:
            if self.began and self.backup is not None:
                self.report.step("Putting the data back as they were")
                await data.put_back(self.site, self.plan.place, self.backup)
                self.is_back = True
        except GitdeployError as error:
            self.held, self.is_stuck = False, True
            self.nodes.late.update(self.nodes.nodes)  # it is tried again with them
            self.report.error(
                f"the data cannot be put back: {error}; it is tried again, and until then nobody is let in; {self.advice}"
            )
            return
        await self.resume()

    async def health_check(self) -> None:
        """On each node, when the release has started there. Raises Refused."""
        words = self.description.health_check
        await self.nodes.all(lambda on: perform(on, words, "health_check", self.plan.release))

    @property
    def advice(self) -> str:
        """How the data as they were can be had."""
        app = spell(self.plan.place, self.site.config.default_environment)
        return f"to have them as they were: restore --kept {self.backup} --confirm {app} {app}"

    def afterwards(self) -> list[str]:
        """What to say to whoever's push is refused: what has happened all the same."""
        if not self.began or self.is_stuck:
            return []
        if self.is_back:
            return [
                "the update command had begun; the data are put back as they were, and nobody has written since then"
            ]
        said = "the update command had begun, so data may be as this version wants it; what is live goes on with it"
        if self.backup is None:
            return [f"{said}: look whether it can, or push a commit that takes it back"]
        return [f"{said}, and what it writes now is not in the backup; {self.advice}"]


def bringing_up_to_date(plan: Plan, earlier: str | None) -> CommandLine:
    """The command that a deploy brings data up to date with; `earlier` as for Lifecycle. Empty if there is nothing to do."""
    keeping = {one for one in data.local(plan.services) if find(one).keeps}
    empty = earlier is None or (earlier == plan.commit.oid and bool(keeping) and keeping <= {*plan.new})
    if plan.only_prepares or plan.source == "catch up" or (earlier == plan.commit.oid and not empty):
        return ()
    update = plan.description.update.run if plan.description.update else ()
    return plan.description.install or update if empty else update


def is_exclusive(plan: Plan, earlier: str | None) -> bool:
    """Whether the deploy lets nobody in meanwhile: there is somebody, and app.yaml says so."""
    update = plan.description.update
    return earlier is not None and update is not None and update.exclusive and bool(bringing_up_to_date(plan, earlier))


async def perform(on: OnNode, words: CommandLine, what: str, release: str | None = None, tests: bool = False) -> None:
    """Run a command of `release`, or of what is live, on a node; the pusher sees what it writes. Raises Refused if it fails."""
    await run_command(on.site, on.node, on.plan.key, words, what, on.say, release, tests)


async def run_command(
    site: Site,
    node: Node,
    key: str,
    words: CommandLine,
    what: str,
    say: Say,
    release: str | None = None,
    tests: bool = False,
) -> None:
    """The same of an app that is called `key`, outside of deploys."""
    limit, output = site.config.limits.update, Lines(say)
    request = {
        "app": key, "python": node.python, "words": list(words), "terminal": None, "timeout": limit, "release": release,
        **({"tests": True} if tests else {}),
    }  # fmt: skip
    command = OneOff(site.reactor, request, output.received, output.received)
    node.start(command)
    command.eof()
    try:
        status = await command.ended
    except CancelledError:
        command.end()
        raise
    output.end()
    if status:
        why = f"did not end within {limit:g} s" if status == LATE else f"ended with exit code {status}"
        raise Refused(f"{what}: {shlex.join(words)} {why}; see above, correct it, and push again")
