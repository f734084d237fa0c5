"""Waiting for a machine: for its provider, and for its sshd."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.task import deferLater

from ..errors import Refused
from . import entry
from .work import Work

POLL = 1.0  # seconds between two looks at a machine
LOOKS = 5  # for an sshd, between two questions to the provider whether the machine still is
RUNNING = "running"
STOPPED = "stopped"


class Waiting:
    """`show` gets what is being waited for, again and again; `say` a line that stays."""

    def __init__(self, reactor: Any, say: Callable[[str], None], show: Callable[[str], None]) -> None:
        self.reactor, self.say, self.show = reactor, say, show

    async def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """What a function that blocks returns, or raises."""
        return await Work(self.reactor, function, *args).result()

    async def answered(
        self, name: str, address: str, port: int, until: float, alive: Callable[[], Awaitable[object]]
    ) -> None:
        """Wait until an sshd answers there, `until` a moment of the reactor's. Raises Refused.

        While nothing answers `alive` is asked now and then; it raises Refused when there is no hope any more.
        """
        where = f"{address} port {port}"
        looks = 0
        while problem := await self.ask(entry.silence, address, port):
            self.show(f"{name}: {where}, no sshd yet")
            await self.pause(until, f"no sshd answers at {where} ({problem}); does a firewall stand before it?")
            looks += 1
            if looks % LOOKS == 0:
                await alive()
        self.show(f"{name}: {where}, sshd answers")

    async def pause(self, until: float, problem: str, *details: str) -> None:
        """Wait for a moment; raises Refused, with the problem, if there is no time left."""
        if self.reactor.seconds() + POLL > until:
            raise Refused(problem, *details)
        await deferLater(self.reactor, POLL, lambda: None)
