"""The embedded node: runs apps on the server's own machine, without root, by the same `buildless.node` as machines of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from buildless.node.layout import Layout

from ..runner import Runner
from ..web import pages
from ..web.pages import Page
from ..web.target import Target
from . import commands
from .agent import LocalSession
from .applog import AppLog
from .node import Checked, Process
from .probe import probe
from .supervisor import GRACE, Instance, Program

LIBRARIES = ("buildless", "gunicorn", "packaging", "yaml")
"""What the web process type needs beside the application: our own copies, whichever Python runs it."""
RELEASE_HEADER = b"x-gitdeploy-release"
log = Logger()


class EmbeddedNode:
    """`root` is what ``/`` is on a machine of its own, `run` a directory for sockets with a short path,
    `python` the interpreter of applications. `url` makes the address of a host name, once the web port is known.
    """

    name = "embedded"

    def __init__(
        self, reactor: Any, runner: Runner, root: Path, run: Path, python: str, url: Callable[[str], str]
    ) -> None:
        self.reactor, self.runner, self.root, self.run, self.python, self.url = reactor, runner, root, run, python, url
        self.path = os.defpath
        self.files = Layout(root)
        self.instances: dict[tuple[str, str], Instance] = {}
        self.hosts: dict[str, str] = {}
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        self.logs: dict[str, AppLog] = {}
        self.lingering: dict[Instance, Any] = {}
        self.keep = (0, 0.0)  # how many earlier instances go on, and for how many seconds

    def prepare(self) -> None:
        """Make its directories; put the libraries of the web process type where any Python finds them, and only them."""
        library = self.root / "lib"
        for directory in (self.files.apps, self.run, library):
            directory.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        for path in self.run.glob("*-v*.sock"):
            path.unlink()  # a server that was killed left it; no application runs yet
        for name in LIBRARIES:
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.submodule_search_locations:
                link = library / name
                link.unlink(missing_ok=True)
                link.symlink_to(Path(next(iter(spec.submodule_search_locations))).resolve())

    # What the pipeline asks (see node.Node).

    def session(self) -> LocalSession:
        return LocalSession(self.reactor, self.runner, commands.agent(sys.executable, str(self.root)))

    def layout(self, key: str, release: str) -> Mapping[str, str]:
        app = self.files.app(key)
        return {
            "logs": str(app.logs),
            "tmp": str(app.tmp(release)),
            "pycache": str(app.pycache),
            "socket": str(self.run / f"{key}-{release}.sock"),
        }

    def urls(self, key: str) -> list[str]:
        """Where an app that is live answers."""
        return [self.url(host) for host, app in self.hosts.items() if app == key]

    def keys(self) -> list[str]:
        """The apps that there is anything of."""
        return sorted(path.name for path in self.files.apps.iterdir())

    def live(self, key: str) -> str | None:
        """The release that is live."""
        return self.files.app(key).live_release()

    def adopt(self, key: str, release: str, fingerprint: str) -> str | None:
        """Let processes that still run, and would be the same, serve `release`, too; returns the release they were started for."""
        for (app, other), instance in self.instances.items():
            if app == key and instance.state == "running" and self.record(key, other).get("fingerprint") == fingerprint:
                self.cancel_linger(instance)
                self.instances[key, release] = instance
                return instance.release
        return None

    async def boot(self, key: str, release: str, timeout: float) -> bool:
        """Start a release's processes; False if they run already."""
        if (key, release) in self.instances:
            return False
        await self.make(key, release).boot(timeout)
        return True

    def make(self, key: str, release: str) -> Instance:
        record, layout = self.record(key, release), self.layout(key, release)
        environ = {
            "PYTHONPATH": str(self.root / "lib"),
            "PYTHONPYCACHEPREFIX": layout["pycache"],
            "PATH": self.path,
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        directory = self.files.app(key).release(release)
        program = Program(self.python, environ, str(directory), record["web"]["processes"])
        write = self.log(key)
        instance = Instance(
            self.reactor, self.runner, program, Path(layout["socket"]), lambda text: write.write(release, text)
        )
        instance.release = release
        self.instances[key, release] = instance
        return instance

    async def check(self, key: str, release: str, host: str, path: str, timeout: float) -> Checked:
        headers = {RELEASE_HEADER.decode(): f"{key}/{release}"}
        return await probe(self.reactor, str(self.run / "front.sock"), host, path, headers, timeout)

    def switched(self, key: str, release: str) -> None:
        record = self.record(key, release)
        self.hosts = {host: app for host, app in self.hosts.items() if app != key}
        self.hosts.update(dict.fromkeys(record["hosts"], key))
        if instance := self.instances.get((key, release)):
            instance.live_since = self.reactor.seconds()

    async def retire(self, key: str, live: str, keep: int, linger: float) -> None:
        """Stop what is not live, in the background: each instance when it has answered what it accepted."""
        self.keep = (keep, linger)
        current = self.instances.get((key, live))
        others = {instance for (app, _), instance in self.instances.items() if app == key and instance is not current}
        for rank, instance in enumerate(sorted(others, key=lambda one: one.live_since, reverse=True)):
            if instance.state in ("draining", "stopping", "stopped"):
                continue
            if rank < keep and instance.state == "running" and instance.live_since:
                if instance not in self.lingering:
                    self.lingering[instance] = self.reactor.callLater(linger, self.retire_one, key, instance)
            else:
                self.retire_one(key, instance)

    def retire_one(self, key: str, instance: Instance) -> None:
        self.cancel_linger(instance)

        async def retiring() -> None:
            await instance.retire()
            self.forget(instance)

        Deferred.fromCoroutine(retiring()).addErrback(
            lambda failure: log.failure("retiring a release", failure=failure)
        )

    def cancel_linger(self, instance: Instance) -> None:
        timer = self.lingering.pop(instance, None)
        if timer is not None and timer.active():
            timer.cancel()

    def forget(self, instance: Instance) -> None:
        for place in [place for place, one in self.instances.items() if one is instance]:
            del self.instances[place]

    async def stop(self, key: str, release: str) -> None:
        """End a release that is not to be: its processes, unless they serve another one, too."""
        instance = self.instances.pop((key, release), None)
        self.records.pop((key, release), None)
        if instance is None:
            return
        if instance in self.instances.values():
            if self.live(key) != instance.release:
                await self.retire(key, self.live(key) or "", *self.keep)
            return
        await instance.stop(grace=0)

    def running(self, key: str) -> list[Process]:
        serving: dict[Instance, list[str]] = {}
        for (app, release), one in self.instances.items():
            if app == key:
                serving.setdefault(one, []).append(release)
        found = []
        for one, releases in serving.items():
            names = tuple(sorted(releases, key=lambda name: int(name[1:])))
            up = round(self.reactor.seconds() - one.since, 1)
            found.append(Process(self.name, one.release, names, "web", one.state, one.pid, one.restarts, up))
        return sorted(found, key=lambda process: int(process.release[1:]))

    def output(self, key: str, release: str) -> list[str]:
        """The last lines that a release wrote."""
        instance = self.instances.get((key, release))
        return list(instance.tail)[-20:] if instance else []

    def owner(self, host: str) -> str | None:
        return self.hosts.get(host)

    # Its life as a whole.

    def restore(self, key: str) -> None:
        """Start what is live again, after the server was started; requests wait for it meanwhile."""
        release = self.live(key)
        if release is None:
            return
        record = self.record(key, release)
        if record.get("runs") and (key, release) not in self.instances:
            instance = self.make(key, release)
            instance.live_since = self.reactor.seconds()
            instance.state = "restarting"
            instance.spawn()
        self.switched(key, release)

    async def stop_all(self) -> None:
        """Stop every process; the server ends."""
        for timer in self.lingering.values():
            if timer.active():
                timer.cancel()
        self.lingering.clear()
        instances = set(self.instances.values())
        await DeferredList(
            [Deferred.fromCoroutine(one.stop(grace=min(GRACE, 15.0))) for one in instances], consumeErrors=True
        )

    def log(self, key: str) -> AppLog:
        if key not in self.logs:
            self.logs[key] = AppLog(self.files.app(key).logs, time.time)
        return self.logs[key]

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

    # The front's questions.

    def resolve(self, host: str, headers: Mapping[bytes, bytes]) -> Target | Page:
        """What answers for a host name: the release that `live` points to right now."""
        key = self.hosts.get(host)
        release = self.live(key) if key else None
        if key is None or release is None:
            return pages.unknown_host(host)
        return self.target(key, release)

    def resolve_checked(self, host: str, headers: Mapping[bytes, bytes]) -> Target | Page:
        """The same for our own checks, which name a release that may not be live yet."""
        key, _, release = headers.get(RELEASE_HEADER, b"").decode().partition("/")
        return self.target(key, release)

    def target(self, key: str, release: str) -> Target | Page:
        record = self.record(key, release)
        instance = self.instances.get((key, release))
        name = key.replace(".", " (") + (")" if "." in key else "")
        if record.get("runs") and (instance is None or instance.state in ("stopped", "stopping")):
            return pages.stopped(name)
        if record.get("runs") and instance is not None and instance.state == "down":
            return pages.down(name)
        tree = os.path.realpath(self.files.app(key).release(release) / "tree")
        static = os.path.join(tree, record.get("static", "static"))
        return Target(
            app=name,
            release=release,
            socket=str(instance.path) if instance and record.get("runs") else None,
            static=static if os.path.isdir(static) else None,
            began=instance.began if instance else nothing,
            ended=instance.ended if instance else nothing,
            root=tree,
        )


def nothing() -> None:
    """For releases without a process there is nothing to count."""
