"""A node that is a machine of its own, reached over ssh: systemd, nginx and packages there are the work of `buildless.node`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from buildless.environ import PATH
from buildless.node.layout import Layout

from ..errors import GitdeployError, NotFound, Refused
from ..runner import Runner
from . import commands
from .agent import Agents, AgentSession, start
from .connection import Connection
from .fleet import Fleet, Machine
from .node import Checked, Process, Say, Unsteady
from .oneoff import OneOff

ROOT = Layout(Path("/"))
SOON = 30.0  # seconds for what a machine answers at once
SLACK = 10.0  # seconds more than a verb takes by its own limit
FOREVER = 10**9  # seconds


class MachineNode:
    """See node.Node. `key` is the file of the server's key, `run` the directory for the socket of the connection.

    `joined` is called whenever the connection has been made. `wanted` gives the version of the set-up that it should have.
    """

    python = "/usr/bin/python3"
    path = PATH
    installs = True
    sleeps = True

    def __init__(
        self,
        reactor: Any,
        runner: Runner,
        machine: Machine,
        fleet: Fleet,
        key: Path,
        run: Path,
        joined: Callable[[MachineNode], None],
        wanted: Callable[[Machine], str],
    ) -> None:
        self.reactor, self.runner, self.machine, self.name, self.wanted = reactor, runner, machine, machine.name, wanted
        self.fleet = fleet
        self.address = machine.address
        self.shell = commands.ssh(machine, str(fleet.known_hosts), str(key))
        socket = run / f"ssh-{machine.name}"
        self.through = commands.through(self.shell, str(socket))
        argv = commands.master(self.shell, machine, str(socket))
        self.agents = Agents(reactor, lambda: start(runner, self.agent(), f"the connection to {self.name} was lost"))
        self.connection = Connection(reactor, runner, machine.name, argv, socket, lambda: self.connected(joined))

    def connected(self, joined: Callable[[MachineNode], None]) -> None:
        """It has been, perhaps anew: what came through an earlier connection is of no use."""
        self.agents.drop()
        joined(self)

    async def reach(self) -> str | None:
        return None if await self.connection.settle() else self.connection.reason

    @property
    def setup(self) -> str | None:
        """The version of the set-up that it should have by now; None where that cannot be said, which setup-node explains."""
        try:
            return self.wanted(self.fleet.get(self.name))
        except GitdeployError:
            return None

    def agent(self) -> tuple[str, ...]:
        return commands.remote(self.through, commands.USER, self.machine, commands.AGENT)

    def expect(self) -> None:
        if self.connection.state == "up":
            self.agents.expect()

    def session(self) -> MachineSession:
        return MachineSession(self)

    def layout(self, key: str, release: str) -> Mapping[str, str]:
        return ROOT.app(key).told(release)

    def socket(self, key: str, release: str, kind: str) -> str:
        return str(ROOT.app(key).socket(release, kind))

    def url(self, location: str) -> str:
        return f"http://{location}/"

    def start(self, command: OneOff) -> None:
        command.start(self.runner, self.agent())

    async def logs(self, key: str, most: int) -> list[str]:
        session = self.session()
        try:
            answer = await session.call("logs", SOON, app=key, lines=most)
        finally:
            await session.finish()
        lines: list[str] = answer["lines"]
        return lines

    async def follow(self, key: str, sink: Say) -> None:
        session = self.session()
        try:
            await session.call("follow", FOREVER, sink, app=key)
        finally:
            session.close()

    def close(self) -> None:
        self.agents.drop()
        self.connection.close()


class MachineSession(AgentSession):
    """See node.Session: everything is asked of the agent, which the server may start there as root."""

    def __init__(self, node: MachineNode) -> None:
        self.node = node
        prefix, shell = f"{node.machine.address}:", (*node.through, "-l", commands.USER)
        super().__init__(node.reactor, node.runner, node.agents, prefix, shell)

    async def adopt(self, key: str, release: str, fingerprint: str) -> str | None:
        answer = await self.call("adopt", SOON, app=key, release=release, fingerprint=fingerprint)
        serving: str | None = answer["serving"]
        return serving

    async def propose(self, key: str, release: str) -> None:
        await self.call("propose", SOON, app=key, release=release)

    async def boot(self, key: str, release: str, timeout: float) -> bool:
        answer = await self.call("start", timeout + SLACK, app=key, release=release, timeout=timeout)
        return bool(answer["started"])

    async def check(self, key: str, release: str, host: str, path: str, timeout: float) -> Checked:
        answer = await self.call(
            "check", timeout + SLACK, app=key, release=release, host=host, path=path, timeout=timeout
        )
        return Checked(answer["status"], answer["seconds"], answer["body"])

    async def switched(self, key: str, release: str, counts: Mapping[str, int]) -> None:
        await self.call("serve", SOON, app=key, release=release, counts=dict(counts))

    async def scale(self, key: str, counts: Mapping[str, int]) -> None:
        await self.call("work", SOON, app=key, counts=dict(counts))

    async def steady(self, key: str, seconds: float) -> list[Unsteady]:
        answer = await self.call("steady", seconds + SOON, app=key, seconds=seconds)
        return [Unsteady(one["worker"], one["why"], tuple(one["lines"])) for one in answer["problems"]]

    async def hold(self, key: str) -> None:
        await self.call("hold", 3 * SOON + SLACK, app=key)

    async def unhold(self, key: str, counts: Mapping[str, int]) -> None:
        await self.call("unhold", 3 * SOON + SLACK, app=key)

    async def revive(self, key: str, release: str) -> None:
        await self.boot(key, release, SOON)

    async def retire(self, key: str, live: str, keep: int, linger: float) -> None:
        await self.call("retire", SOON, app=key, live=live, keep=keep, linger=linger)

    async def stop(self, key: str, release: str) -> None:
        await self.call("stop", 2 * SOON, app=key, release=release)

    async def processes(self, key: str) -> list[Process]:
        answer = await self.call("processes", SOON, app=key)
        return [Process(node=self.node.name, **{**one, "serves": tuple(one["serves"])}) for one in answer["processes"]]

    async def output(self, key: str, release: str) -> list[str]:
        answer = await self.call("output", SOON, app=key, release=release)
        lines: list[str] = answer["lines"]
        return lines

    async def join(self) -> None:
        if not self.node.fleet.drained(self.node.name):
            await self.call("resume", SOON)

    async def leave(self) -> None:
        await self.call("drain", SOON)

    async def status(self) -> dict[str, Any]:
        return await self.call("status", SOON)


class Machines:
    """The machines that were asked for so far, each with its connection; made again when their record changes.

    `wanted` gives the version of the set-up that a machine should have.
    """

    def __init__(
        self,
        reactor: Any,
        runner: Runner,
        fleet: Fleet,
        key: Path,
        run: Path,
        joined: Callable[[MachineNode], None],
        wanted: Callable[[Machine], str],
    ) -> None:
        self.reactor, self.runner, self.fleet, self.key, self.run = reactor, runner, fleet, key, run
        self.joined, self.wanted = joined, wanted
        self.nodes: dict[str, MachineNode] = {}

    def get(self, name: str) -> MachineNode:
        """The machine called `name`, being connected to. Raises NotFound."""
        try:
            machine, node = self.fleet.get(name), self.nodes.get(name)
        except NotFound:
            if name in self.nodes:
                self.nodes.pop(name).close()
            raise
        if node is not None and (node.machine.address, node.machine.port) == (machine.address, machine.port):
            return node
        if node is not None:
            node.close()
        if not self.key.exists():
            raise Refused(f"{name} has not been set up; run: gitdeploy setup-node {name}")
        node = MachineNode(self.reactor, self.runner, machine, self.fleet, self.key, self.run, self.joined, self.wanted)
        self.nodes[name] = node
        node.connection.open()
        return node

    def up(self) -> list[MachineNode]:
        """Those that are connected."""
        return [node for node in self.nodes.values() if node.connection.state == "up"]

    def close(self) -> None:
        """Let go of all of them; what runs there runs on."""
        for node in self.nodes.values():
            node.close()
