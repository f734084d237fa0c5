"""A deploy's session with the embedded node: its agent is a child of this process, and applications are the node's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Refused
from .agent import AgentSession
from .node import Checked, Process, Unsteady

SOON = 30.0  # seconds for what the node's agent answers at once

if TYPE_CHECKING:
    from .embedded import EmbeddedNode


class EmbeddedSession(AgentSession):
    """See node.Session: files are the agent's work, processes are the node's own."""

    def __init__(self, node: EmbeddedNode) -> None:
        self.node = node
        super().__init__(node.reactor, node.runner, node.agents)

    async def adopt(self, key: str, release: str, fingerprint: str) -> str | None:
        return self.node.adopt(key, release, fingerprint)

    async def propose(self, key: str, release: str) -> None:
        """The front needs nothing."""

    async def boot(self, key: str, release: str, timeout: float) -> bool:
        return await self.node.boot(key, release, timeout)

    async def check(self, key: str, release: str, host: str, path: str, timeout: float) -> Checked:
        return await self.node.check(key, release, host, path, timeout)

    async def switched(self, key: str, release: str, counts: Mapping[str, int]) -> None:
        self.node.switched(key, release, counts)

    async def scale(self, key: str, counts: Mapping[str, int]) -> None:
        self.node.work(key, counts)

    async def steady(self, key: str, seconds: float) -> list[Unsteady]:
        return await self.node.steady(key, seconds)

    async def hold(self, key: str) -> None:
        await self.call("hold", SOON, app=key)
        await self.node.hold(key)

    async def unhold(self, key: str, counts: Mapping[str, int]) -> None:
        await self.call("unhold", SOON, app=key)
        self.node.unhold(key, counts)

    async def revive(self, key: str, release: str) -> None:
        self.node.restore(key, release)

    async def retire(self, key: str, live: str, keep: int, linger: float) -> None:
        await self.node.retire(key, live, keep, linger)

    async def stop(self, key: str, release: str) -> None:
        crew = self.node.crews.get((key, release))
        await self.node.stop(key, release)
        if crew is not None and crew.release == release:
            self.node.log(key).write(release, f"it was not to be; the next deploy is {release} again")

    async def processes(self, key: str) -> list[Process]:
        return self.node.running(key)

    async def output(self, key: str, release: str) -> list[str]:
        return self.node.output(key, release)

    async def join(self) -> None:
        """Nothing stands before it."""

    async def leave(self) -> None:
        raise Refused("the embedded node has no balancer before it; to take an app out of service: maintenance:on APP")

    async def status(self) -> dict[str, Any]:
        return {}
