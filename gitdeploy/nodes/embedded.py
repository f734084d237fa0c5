"""The embedded node: runs apps on the server's own machine, without root, by the same `buildless.node` as machines of their own."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from buildless.node import kinds
from buildless.node.layout import Layout
from buildless.processes import WEB

from ..runner import Runner
from . import commands
from .agent import Agents, start
from .answers import RELEASE_HEADER
from .applog import AppLog
from .crew import Crew, listed
from .library import link_libraries
from .local import EmbeddedSession
from .node import Checked, Process, Say, Unsteady
from .oneoff import OneOff, UnderWay
from .probe import probe
from .supervisor import Instance, Program

WOKEN = 600.0  # seconds after which a release that was started to be looked at ends, where nothing says how long
log = Logger()


class EmbeddedNode:
    """`root` is what ``/`` is on a machine of its own, `run` a directory for sockets with a short path,
    `python` the interpreter of applications. `url` makes the address of a host name, once the web port is known.
    """

    name = "embedded"
    address = "this machine"
    installs = False  # it has no right to
    sleeps = False
    setup: str | None = None

    def __init__(
        self, reactor: Any, runner: Runner, root: Path, run: Path, python: str, url: Callable[[str], str]
    ) -> None:
        self.reactor, self.runner, self.root, self.run, self.python, self.url = reactor, runner, root, run, python, url
        self.path = os.defpath
        self.agents = Agents(reactor, lambda: start(runner, self.agent(), "the node's agent ended"))
        self.files = Layout(root)
        self.crews: dict[tuple[str, str], Crew] = {}
        self.hosts: dict[str, str] = {}
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        self.written: dict[str, AppLog] = {}
        self.lingering: dict[Crew, Any] = {}
        self.held: set[str] = set()
        self.under_way = UnderWay()
        self.keep = (0, 0.0)  # how many earlier instances go on, and for how many seconds

    def prepare(self) -> None:
        """Make its directories; put the libraries of the web process type where any Python finds them, and only them."""
        for directory in (self.files.apps, self.run):
            directory.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        for path in self.run.glob("*-v*.sock"):
            path.unlink()  # a server that was killed left it; no application runs yet
        for path in self.run.glob("own-*"):
            shutil.rmtree(path, ignore_errors=True)
        link_libraries(self.root / "lib")

    # What the pipeline asks (see node.Node); `EmbeddedSession` passes on the rest.

    async def reach(self) -> str | None:
        return None

    def agent(self) -> tuple[str, ...]:
        return commands.agent(sys.executable, str(self.root))

    def expect(self) -> None:
        """Nothing: its agent starts in no time."""

    def start(self, command: OneOff) -> None:
        command.start(self.runner, self.agent())
        self.under_way.add(command)

    def session(self) -> EmbeddedSession:
        return EmbeddedSession(self)

    def layout(self, key: str, release: str) -> Mapping[str, str]:
        return self.files.app(key).told(release)

    def socket(self, key: str, release: str, kind: str) -> str:
        return str(self.run / f"{key}-{release}{'' if kind == WEB else f'-{kind}'}.sock")

    def live(self, key: str) -> str | None:
        """The release that is live."""
        return self.files.app(key).live_release()

    async def logs(self, key: str, most: int) -> list[str]:
        return self.log(key).tail(most)

    async def follow(self, key: str, sink: Say) -> None:
        await self.log(key).follow(sink)

    def adopt(self, key: str, release: str, fingerprint: str) -> str | None:
        """Let processes that still run, and would be the same, serve `release`, too; returns the release they were started for."""
        for (app, other), crew in self.crews.items():
            if app == key and crew.state == "running" and self.record(key, other).get("fingerprint") == fingerprint:
                self.cancel_linger(crew)
                self.crews[key, release] = crew
                return crew.release
        return None

    async def boot(self, key: str, release: str, timeout: float) -> bool:
        """Start a release's processes; False if they run already."""
        if (key, release) in self.crews:
            return False
        crew = self.make(key, release)
        await crew.boot(timeout)
        crew.live_since = self.reactor.seconds()  # or looked at since then
        return True

    def make(self, key: str, release: str) -> Crew:
        record = self.record(key, release)
        environ = {
            "PYTHONPATH": str(self.root / "lib"),
            "PYTHONPYCACHEPREFIX": self.layout(key, release)["pycache"],
            "PATH": self.path,
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        directory, write = str(self.files.app(key).release(release)), self.log(key).write

        def instance(name: str, listens: bool) -> Instance:
            workers = record["web"]["processes"] if record.get("gunicorn", True) and name == WEB else 1
            program = Program(self.python, environ, directory, workers, name, listens)
            path = Path(self.socket(key, release, name))
            return Instance(self.reactor, self.runner, program, path, lambda text: write(release, text, program.kind))

        answering = {kind: instance(kind, True) for kind in kinds.answering(record)}
        crew = Crew(release, answering, lambda kind, number: instance(f"{kind}.{number}", False))
        self.crews[key, release] = crew
        return crew

    async def check(self, key: str, release: str, host: str, path: str, timeout: float) -> Checked:
        headers = {RELEASE_HEADER.decode(): f"{key}/{release}"}
        return await probe(self.reactor, str(self.run / "front.sock"), host, path, headers, timeout)

    def switched(self, key: str, release: str, counts: Mapping[str, int]) -> None:
        record = self.record(key, release)
        self.hosts = {host: app for host, app in self.hosts.items() if app != key}
        self.hosts.update(dict.fromkeys(record["hosts"], key))
        self.work(key, counts)
        if crew := self.crews.get((key, release)):
            crew.live_since = self.reactor.seconds()

    def work(self, key: str, counts: Mapping[str, int]) -> None:
        """Have as many workers of what is live as there are to be, and none of other releases."""
        live = self.live(key)
        if live is None:
            return
        wanted = kinds.workers(self.record(key, live), counts)
        current = self.crews.get((key, live))
        if wanted and current is None:
            current = self.make(key, live)
        for (app, _), crew in self.crews.items():
            if app == key and crew is not current:
                crew.work({})
        if current is not None:
            current.work(wanted)

    async def hold(self, key: str) -> None:
        """See node.Session."""
        self.held.add(key)
        crews = {crew for (app, _), crew in self.crews.items() if app == key}
        ending = [self.under_way.end(key), *(crew.retire() for crew in crews)]
        await DeferredList([Deferred.fromCoroutine(one) for one in ending], consumeErrors=True)
        for crew in crews:
            self.cancel_linger(crew)
            self.forget(crew)

    def unhold(self, key: str, counts: Mapping[str, int]) -> None:
        if live := self.live(key):
            self.restore(key, live)
            self.work(key, counts)
        else:
            self.hosts = {host: app for host, app in self.hosts.items() if app != key}
            self.records = {place: record for place, record in self.records.items() if place[0] != key}
        self.held.discard(key)

    async def steady(self, key: str, seconds: float) -> list[Unsteady]:
        """Watch the workers of what is live for so long; returns those that did not stay up."""
        await deferLater(self.reactor, seconds)
        crew = self.crews.get((key, self.live(key) or ""))
        failing = crew.unsteady() if crew is not None else {}
        return [Unsteady(kind, *one.why()) for kind, one in failing.items()]

    async def retire(self, key: str, live: str, keep: int, linger: float) -> None:
        """Stop what is not live, in the background: each crew when it has answered what it accepted."""
        self.keep = (keep, linger)
        current = self.crews.get((key, live))
        others = {crew for (app, _), crew in self.crews.items() if app == key and crew is not current}
        for rank, crew in enumerate(sorted(others, key=lambda one: one.live_since, reverse=True)):
            if crew.state in ("draining", "stopping", "stopped"):
                continue
            if rank < keep and crew.state == "running" and crew.live_since:
                if crew not in self.lingering:
                    self.lingering[crew] = self.reactor.callLater(linger, self.retire_one, key, crew)
            else:
                self.retire_one(key, crew)

    def retire_one(self, key: str, crew: Crew) -> None:
        self.cancel_linger(crew)

        async def retiring() -> None:
            await crew.retire()
            self.forget(crew)

        Deferred.fromCoroutine(retiring()).addErrback(
            lambda failure: log.failure("retiring a release", failure=failure)
        )

    def cancel_linger(self, crew: Crew) -> None:
        timer = self.lingering.pop(crew, None)
        if timer is not None and timer.active():
            timer.cancel()

    def forget(self, crew: Crew) -> None:
        for place in [place for place, one in self.crews.items() if one is crew]:
            del self.crews[place]

    async def stop(self, key: str, release: str) -> None:
        """End a release that is not to be: its processes, unless they serve another one, too."""
        crew = self.crews.pop((key, release), None)
        self.records.pop((key, release), None)
        if crew is None:
            return
        if crew in self.crews.values():
            if self.live(key) != crew.release:
                await self.retire(key, self.live(key) or "", *self.keep)
            return
        await crew.stop(grace=0)

    def running(self, key: str) -> list[Process]:
        crews = [(release, crew) for (app, release), crew in self.crews.items() if app == key]
        return listed(self.name, crews, self.reactor.seconds())

    def output(self, key: str, release: str) -> list[str]:
        """The last lines that a release wrote."""
        crew = self.crews.get((key, release))
        return crew.tail[-20:] if crew else []

    # Its life as a whole.

    def restore(self, key: str, release: str) -> Crew | None:
        """Start a release that does not run, and has before; requests wait for it. None where nothing is to be started."""
        if (key, release) in self.crews or not kinds.answering(self.record(key, release)):
            return None
        crew = self.make(key, release)
        crew.live_since = self.reactor.seconds()
        crew.restart()
        return crew

    def wake(self, key: str, release: str) -> None:
        """Start a release that is kept if it sleeps; it ends again after a while, as on nodes."""
        if crew := self.restore(key, release):
            self.lingering[crew] = self.reactor.callLater(self.keep[1] or WOKEN, self.retire_one, key, crew)

    async def stop_all(self, grace: float = 15.0) -> None:
        """Stop every process; the server ends."""
        for timer in self.lingering.values():
            if timer.active():
                timer.cancel()
        self.lingering.clear()
        crews = set(self.crews.values())
        await DeferredList([Deferred.fromCoroutine(one.stop(grace=grace)) for one in crews], consumeErrors=True)

    def log(self, key: str) -> AppLog:
        if key not in self.written:
            self.written[key] = AppLog(self.files.app(key).logs, time.time)
        return self.written[key]

    def record(self, key: str, release: str) -> dict[str, Any]:
        """release.json of a release; it never changes."""
        found = self.records.get((key, release))
        if found is None:
            path = self.files.app(key).release(release) / "release.json"
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except OSError:
                return {}
            self.records[key, release] = found
        return found
