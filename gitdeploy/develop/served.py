"""An application that is served from where it is written: an embedded node whose one version is the checkout itself.

So its processes, static files and environment are those that a push would make; what differs are values. A change is a release.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError

from buildless.limits import WebLimits
from buildless.node import releases
from buildless.secret import make_secret

from ..deploy import stages
from ..deploy.stages import Plan
from ..errors import GitdeployError, Refused
from ..git.repository import CommitInfo
from ..names import Place
from ..nodes.answers import Answers
from ..nodes.embedded import EmbeddedNode
from ..runner import Runner
from ..web.fields import Ask
from ..web.pages import Page
from ..web.target import Target
from .development import ENVIRONMENT, HOST, NOTHING, Development, described

AGES = 3600.0
"""Seconds for what has a short limit elsewhere: somebody may be thinking about it in a debugger."""

LIMITS = WebLimits(processes=1, request=AGES, boot=AGES, shed=AGES)
AROUND = ("buildless.postmortem:shown",)
AGAIN = 1  # seconds after which a browser that shows what is wrong asks again
COMMIT = CommitInfo(NOTHING, NOTHING, "", "")


class Served:
    """`say` gets lines for the terminal, `terminal` is its device if there is one; `port` is set when it is known."""

    port = 0

    def __init__(
        self,
        reactor: Any,
        runner: Runner,
        development: Development,
        run: Path,
        say: Callable[[str], None],
        terminal: str,
    ) -> None:
        self.development, self.say, self.terminal = development, say, terminal
        self.node = EmbeddedNode(reactor, runner, development.root, run, development.python, lambda host: self.url)
        self.node.path = development.path
        self.answers = Answers(self.node)
        self.key = development.name
        self.number = 0
        self.trouble: Page | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def prepare(self) -> None:
        """Make the directories; forget what was served before."""
        self.development.prepare()
        self.node.prepare()
        layout = self.development.layout
        layout.live.unlink(missing_ok=True)
        self.prune(keep=())
        version = layout.version(NOTHING)
        version.parent.mkdir(parents=True, exist_ok=True)
        version.unlink(missing_ok=True)
        version.symlink_to(self.development.top)
        self.node.log(self.key).followers.add(self.written)

    def written(self, line: str) -> None:
        """A line of the log, without the time: whoever sits there knows it."""
        where, _, text = line.partition(" | ")
        self.say(f"{where.split()[-1]} | {text}")

    def resolve(self, ask: Ask) -> Target | Page:
        """What answers a request, under whichever name."""
        if self.trouble is not None:
            return self.trouble
        live = self.node.live(self.key)
        if live is None:
            return trouble("is being started", "It answers in a moment.", ())
        crew = self.node.crews.get((self.key, live))
        if crew is not None and crew.state == "down":
            return trouble("keeps ending", "Correct it, and save.", crew.tail)
        return self.answers.target(self.key, live)

    async def renew(self) -> None:
        """Serve what the files are now. A fault is said and shown; so is its end."""
        self.number += 1
        release = f"v{self.number}"
        try:
            plan = self.plan(release)
            self.write(plan)
            if plan.starts:
                await self.node.boot(self.key, release, AGES)
        except (Refused, CancelledError) as error:
            await self.node.stop(self.key, release)
            releases.remove(self.development.layout, release)
            if isinstance(error, CancelledError):
                raise
            self.failed(error)
            return
        releases.switch(self.development.layout, release)
        self.node.switched(self.key, release, {})
        await self.node.retire(self.key, release, 0, 0)
        self.trouble = None
        self.prune(keep=(release,))
        self.say(f"-----> Live: {release}")

    def failed(self, error: GitdeployError) -> None:
        """Say what is wrong; what the application wrote has been shown as it came."""
        said = [line for line in str(error).splitlines() if line]
        for line in (*said, *error.details) if error.details and "app.yaml" in said[0] else said:
            self.say(f" !     {line}")
        self.trouble = trouble(
            "does not start", "Correct it, and save: this page goes on by itself.", (*error.details, *said)
        )

    def plan(self, release: str) -> Plan:
        """The release that the files are now. Raises Refused for an app.yaml with mistakes."""
        return Plan(
            place=Place(self.key, ENVIRONMENT),
            key=self.key,
            commit=COMMIT,
            description=described(self.development.top),
            release=release,
            hosts=(HOST,),
            web=LIMITS,
            user="",
            source="serve",
        )

    def write(self, plan: Plan) -> None:
        secret = self.development.secret
        layout = {**self.node.layout(self.key, plan.release), "secret": str(secret)}
        settings = stages.settings(plan, layout, self.node.path)
        debugger = {"PYTHONBREAKPOINT": "buildless.breakpoint.pause", "APP_TERMINAL": self.terminal}
        outside = self.development.outside
        settings["environ"].update({**outside, **debugger})
        self.publish(outside.get("CONFIG_PUBLIC_FILES"))
        new = releases.NewRelease(
            plan.release,
            NOTHING,
            sockets={kind: self.node.socket(self.key, plan.release, kind) for kind in plan.starts},
            settings={**settings, "around": AROUND},
            record=stages.record(plan, 0.0, plan.release),
            secret=make_secret(secret),
            config={},
        )
        releases.write(self.development.layout, new)

    def publish(self, directory: str | None) -> None:
        """Let the front serve what the application stores for all to see."""
        public = self.development.layout.public
        public.unlink(missing_ok=True)
        if directory is not None:
            public.parent.mkdir(parents=True, exist_ok=True)
            public.symlink_to(directory)

    def stale(self, changed: Iterable[str]) -> None:
        """Take away the compiled modules of files that changed: Python knows these by size and whole seconds alone."""
        for path in changed:
            source = self.development.top / path
            compiled = Path(f"{self.development.layout.pycache}{source.parent}")
            for one in compiled.glob(f"{source.stem}.*.pyc"):
                one.unlink(missing_ok=True)

    def prune(self, keep: Iterable[str]) -> None:
        for name in releases.names(self.development.layout):
            if name not in keep:
                releases.remove(self.development.layout, name)


def trouble(title: str, advice: str, lines: Iterable[str]) -> Page:
    """A page about what is wrong, which looks again by itself whether it still is."""
    last = list(lines)[-1:]
    return Page(500, f"The application {title}", "".join(last), advice, details="\n".join(lines), refresh=AGAIN)


def terminal() -> str:
    """The device of the terminal that this process reads from; empty if there is none."""
    try:
        return os.ttyname(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):  # there may be no standard input at all
        return ""
