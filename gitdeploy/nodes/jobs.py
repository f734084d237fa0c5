"""The jobs of apps on the embedded node: looked at each minute, run by the node's agent, never two of one at once."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from buildless.cron import scheduled
from buildless.package import AppPackage

from .oneoff import Lines, OneOff

if TYPE_CHECKING:
    from .embedded import EmbeddedNode

MINUTE = 60
log = Logger()


class Jobs:
    """Runs what is due."""

    def __init__(self, node: EmbeddedNode) -> None:
        self.node = node
        self.under_way: dict[tuple[str, str], OneOff] = {}
        self.minute = 0
        self.clock = LoopingCall(self.look)
        self.clock.clock = node.reactor

    def start(self) -> None:
        self.minute = int(self.node.reactor.seconds()) // MINUTE
        self.clock.start(1, now=False)

    def stop(self) -> None:
        if self.clock.running:
            self.clock.stop()
        for one in self.under_way.values():
            one.end()

    def look(self) -> None:
        """Once in every minute: start what is due. A minute that was slept through is not made up for."""
        minute = int(self.node.reactor.seconds()) // MINUTE
        if minute == self.minute:
            return
        self.minute = minute
        when = datetime.fromtimestamp(minute * MINUTE, timezone.utc)
        for key in self.node.files.names():
            try:
                self.start_due(key, when)
            except Exception:
                log.failure("the jobs of {key}", key=key)

    def start_due(self, key: str, when: datetime) -> None:
        app = self.node.files.app(key)
        live = app.live_release()
        if live is None or not app.jobs.exists() or key in self.node.held:
            return
        for name, said in self.node.record(key, live).get("cron", {}).items():
            if scheduled(said).schedule.due(when):
                self.run(key, live, name, said["timeout"])

    def run(self, key: str, release: str, name: str, timeout: float) -> None:
        """Run a job, unless it runs; what it writes goes to the log of its app."""
        if (key, name) in self.under_way:
            log.warn("{key}: {name} is still running; this time it is left out", key=key, name=name)
            return
        lines = Lines(lambda text: self.node.log(key).write(release, text, name))
        request: dict[str, Any] = {
            "app": key, "python": self.node.python, "words": self.words(key, release, name), "terminal": None,
            "timeout": timeout, "release": release,
        }  # fmt: skip
        command = OneOff(self.node.reactor, request, lines.received, lines.received)
        self.under_way[key, name] = command
        self.node.start(command)
        command.eof()
        Deferred.fromCoroutine(self.ended(key, name, command, lines))

    def words(self, key: str, release: str, name: str) -> list[str]:
        """What a job runs: only the tree says it."""
        package = AppPackage(self.node.files.app(key).release(release) / "tree")
        return list(package.description.cron[name].run)

    async def ended(self, key: str, name: str, command: OneOff, lines: Lines) -> None:
        try:
            status = await command.ended
            problem = f"ended with exit code {status}" if status else ""
        except Exception as error:
            problem = str(error)
        del self.under_way[key, name]
        lines.end()
        if problem:
            lines.say(problem)
