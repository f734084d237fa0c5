"""The composition root: makes every part of a server, hands each what it needs, starts it and stops it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger

from buildless.values import split_location

from . import config, names
from .control import ControlFactory
from .deploy import agreement
from .deploy.again import deploy_again
from .deploy.destruction import Destruction
from .deploy.former import withdraw_strangers
from .deploy.pipeline import Deploy
from .deploy.queue import Queue
from .deploy.reconcile import bring_back, catch_up, settle_all
from .deploy.site import Site
from .errors import ConfigError, GitdeployError
from .home import Home
from .installed import directory
from .names import Place
from .nodes.answers import Answers
from .nodes.embedded import EmbeddedNode
from .nodes.fleet import Machine
from .nodes.jobs import Jobs
from .nodes.kit import Kit
from .nodes.machine import Machines
from .nodes.node import Node
from .nodes.relocation import relocate
from .outfit import outfit, read_kit
from .runner import Runner
from .ssh.command import Command
from .ssh.commands.call import Call, Change, HowTo
from .ssh.commands.table import find
from .ssh.endpoint import Endpoint, host_key
from .ssh.session import CommandIO, Service
from .web.front import Front

FINISH = 300.0  # seconds that deploys past their commit point get when the server is stopped
log = Logger()


class Server:
    """A server on `home`. `ssh` and `http` are Twisted endpoint strings."""

    def __init__(self, reactor: Any, home: Home, settings: config.Config, ssh: str, http: str) -> None:
        self.reactor, self.home, self.ssh, self.http = reactor, home, ssh, http
        self.ports: list[interfaces.IListeningPort] = []
        self.endpoint: Endpoint | None = None
        self.front: Front | None = None
        self.http_port = 0
        self.kit: Kit | None = None
        runner = Runner(reactor)
        python = settings.python or default_python()
        self.node = EmbeddedNode(reactor, runner, home.path / "node", home.run, python, self.url)
        self.jobs = Jobs(self.node)
        self.machines = Machines(
            reactor, runner, home.fleet, home.logins.server, home.run, self.bring_back, self.setup_version
        )
        self.site = Site(
            reactor, runner, home.path, settings, self.find_node, home.journal, Queue(reactor), home.fleet, self.bring_back,
        )  # fmt: skip
        self.service = Service(
            reactor=reactor,
            runner=runner,
            hooks=str(directory("hooks")),
            pack_limit=lambda: self.site.config.limits.pack,
            patience=lambda: self.site.config.limits.step,
            place=self.place,
            may=self.may,
            existing=self.site.existing,
            receiving=self.site.receiving,
            attempt=lambda place, user, allowed: Deploy(self.site, place, user, "git push", allowed),
            command=self.command,
        )

    # Its life.

    async def start(self) -> str:
        """Listen, bring back what was live; returns the line that says where it listens."""
        self.node.prepare()
        if (before := relocate(self.node.files, self.home.run)) is not None:
            log.warn("the embedded node was at {before}, and is {now} now", before=before, now=str(self.node.root))
        self.site.clean()
        agreement.settle_branches(self.site)
        self.home.clean()
        answers = Answers(self.node)
        self.front = Front(self.reactor, answers.live)
        http = await self.listen(self.http, self.front)
        self.http_port = http.getHost().port
        await self.listen(
            f"unix:{quote(self.home.run / 'front.sock')}:mode=600:lockfile=0",
            Front(self.reactor, answers.checked),
        )
        await self.listen(f"unix:{quote(self.home.control)}:mode=600:lockfile=0", ControlFactory(self.command))
        for place in self.site.places():
            self.site.journal.interrupt(place.app, place.environment)
        lacking = await settle_all(self.site, self.node)
        self.jobs.start()
        self.endpoint = Endpoint(self.reactor, host_key(self.home.host_key), self.home.users, self.service)
        ssh = await self.listen(self.ssh, self.endpoint)
        Deferred.fromCoroutine(catch_up(self.site, self.node, lacking))
        self.connect()
        return f"ready ssh={shown(ssh)} http={shown(http)}"

    async def listen(self, description: str, factory: Any) -> Any:
        try:
            port = await serverFromString(self.reactor, description).listen(factory)
        except (ValueError, OSError, KeyError, TypeError) as error:
            raise ConfigError(
                f"cannot listen on {description}: {error}; see Twisted's endpoint strings: tcp:2222"
            ) from error
        except Exception as error:
            raise ConfigError(f"cannot listen on {description}: {error}") from error
        self.ports.append(port)
        return port

    async def stop(self) -> None:
        """Listen no more, cancel what is before its commit point, let the rest finish, stop the applications."""
        self.site.stopping = True
        stopping = [Deferred.fromCoroutine(stop_port(port)) for port in self.ports]
        for deploy in list(self.site.active):
            deploy.cancel("the server is stopping; push again when it is back")
        under_way = [deploy.ended for deploy in self.site.active if deploy.working is not None]
        await DeferredList(under_way, consumeErrors=True).addTimeout(FINISH, self.reactor)
        if any(deploy.committed for deploy in self.site.active):
            log.error("a deploy did not end; it is finished when the server starts again")
        if self.endpoint is not None:
            await self.endpoint.close()
        if self.front is not None:
            self.front.close()
        self.jobs.stop()
        self.machines.close()
        await self.node.stop_all()
        await DeferredList(stopping, consumeErrors=True)

    def reload(self) -> None:
        """Read gitdeploy.yaml again (SIGHUP); one with mistakes changes nothing."""
        try:
            if not (self.home.config.exists() and self.home.config.read_text(encoding="utf-8").strip()):
                raise ConfigError(f"{self.home.config} is gone, or empty")  # perhaps it is just being written
            self.take(config.load(self.home.config))
        except ConfigError as error:
            log.error("{error}; the old one stays", error=str(error))
            for problem in error.details:
                log.error("{problem}", problem=problem)
            return
        log.info("read gitdeploy.yaml again")
        up = self.machines.up()
        self.connect()
        nodes: list[Node] = [self.node, *up]
        for node in nodes:  # the others are when they are connected
            self.bring_back(node)

    def take(self, settings: config.Config) -> None:
        """Let these settings count, if they agree with the apps that there are. Raises ConfigError."""
        agreement.agree(self.site, settings)
        self.site.config = settings
        for line in agreement.left_behind(self.site):
            log.warn("{line}", line=line)

    # Its nodes.

    def find_node(self, name: str) -> Node:
        """The node called `name`. Raises NotFound."""
        return self.node if name == self.node.name else self.machines.get(name)

    def setup_version(self, machine: Machine) -> str:
        """The version of the set-up that a machine should have by now."""
        if self.kit is None:
            self.kit = read_kit()
        return outfit(self.kit, machine, self.site.config, self.home.fleet, self.home.logins).version

    def connect(self) -> None:
        """Connect to every machine that an environment names, or named once; what is not there yet is for who pushes to hear."""
        environments = self.site.config.environments.values()
        named = {name for one in environments for name in (*one.nodes, one.services) if name is not None}
        for name in sorted(named | set(self.home.fleet.names())):
            try:
                if name in named or self.home.fleet.get(name).runs_apps:
                    self.find_node(name)
            except GitdeployError as error:
                log.warn("{error}", error=str(error))

    def bring_back(self, node: Node) -> None:
        """A node has been connected to, or lacks something: bring it up to date, in the background."""
        work = Deferred.fromCoroutine(bring_back(self.site, node))
        work.addErrback(lambda failure: log.failure("bringing back {name}", name=node.name, failure=failure))

    # What sessions ask.

    def url(self, location: str) -> str:
        """Where a browser finds a location here."""
        host, path = split_location(location)
        return f"http://{host}{path}/" if self.http_port == 80 else f"http://{host}:{self.http_port}{path}/"

    def place(self, path: str) -> Place:
        return names.repository(path, self.site.config.environments, self.site.config.default_environment)

    def may(self, user: str, place: Place) -> bool:
        """Whether a user may push to an environment, and look at it."""
        environment = self.site.config.environments.get(place.environment)
        return environment is not None and (environment.users is None or user in environment.users)

    async def command(self, user: str, command: Command, io: CommandIO) -> int:
        """Run one of the commands for `user`; returns the exit status. Raises GitdeployError."""
        spec = find(command.name)
        try:
            args = spec.parser().read(command.args)
        except HowTo as asked:
            io.write(str(asked))
            return 0

        def place(text: str) -> Place:
            found = self.place(text)
            if not self.may(user, found) and io.remote:
                raise GitdeployError(f"{user} may not do that in {found.environment}")
            return found

        async def again(
            place: Place, user: str, source: str, commit: str | None, show: Callable[[bytes], None], change: Change | None = None,
        ) -> str:  # fmt: skip
            def allowed() -> bool:
                return io.allowed() and (self.may(user, place) or not io.remote)

            return await deploy_again(self.site, place, user, source, commit, show, allowed, change)

        async def destroy(place: Place, user: str, show: Callable[[bytes], None]) -> None:
            ending = Destruction(self.site, place, user)
            ending.show(show)
            await ending.run()
            nodes: list[Node] = [self.node, *self.machines.up()]  # those that were taken out before have it still
            looking = [Deferred.fromCoroutine(withdraw_strangers(self.site, node)) for node in nodes]
            await DeferredList(looking, consumeErrors=True)  # one that cannot be asked is looked at when it is back

        return await spec.run(
            Call(user, args, io, self.site, self.home.users, place, lambda found: self.may(user, found), again, destroy)
        )


def default_python() -> str:
    """Debian's Python, which has Debian's packages; elsewhere the one that runs this server."""
    from shutil import which

    return which("/usr/bin/python3") or sys.executable


def quote(path: object) -> str:
    """A path in an endpoint string."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")


def shown(port: Any) -> str:
    """``127.0.0.1:8080``."""
    address = port.getHost()
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


async def stop_port(port: Any) -> None:
    await Deferred.fromCoroutine(_maybe(port.stopListening()))


async def _maybe(result: Any) -> None:
    if isinstance(result, Deferred):
        await result


def run(reactor: Any, server: Server, say: Callable[[str], None]) -> int:
    """Run `server` until SIGTERM or SIGINT; returns the exit status. `say` gets the ready line."""
    status = 0

    def failed(failure: Any) -> None:
        nonlocal status
        status = 2
        if failure.check(GitdeployError):
            say(f"gitdeploy: {failure.getErrorMessage()}")
        else:
            log.failure("starting", failure=failure)
        reactor.stop()

    def begin() -> None:
        Deferred.fromCoroutine(server.start()).addCallbacks(say, failed)
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(server.reload))

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(server.stop()))
    reactor.run()
    return status
