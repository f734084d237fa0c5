"""Machines that are there, started and stopped by their providers, and waited for."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import NotFound, Refused
from .cloud import Cloud, Found
from .fleet import Machine
from .waiting import RUNNING, STOPPED, Waiting


class Power(Waiting):
    """Both can be repeated; what is so already stays so. `wait` is for how many seconds."""

    async def start(self, cloud: Cloud, machine: Machine, wait: float) -> str:
        """Have a machine started, and wait until its sshd answers; returns the address that it has now. Raises GitdeployError."""
        until = self.reactor.seconds() + wait
        found = await self.told(cloud, machine, cloud.start, RUNNING, until)
        address = found.address or next(iter(found.private), None) or machine.address

        async def alive() -> None:
            one = await self.look(cloud, machine)
            if one.state == STOPPED:
                raise Refused(f"{machine.name} is {one.state} again at {cloud.name}; see there why", *why(one))

        await self.answered(machine.name, address, machine.port, until, alive)
        return address

    async def stop(self, cloud: Cloud, machine: Machine, wait: float) -> None:
        """Have a machine shut down, and wait until it is. Raises GitdeployError."""
        await self.told(cloud, machine, cloud.stop, STOPPED, self.reactor.seconds() + wait)

    async def told(
        self, cloud: Cloud, machine: Machine, tell: Callable[[str], None], state: str, until: float
    ) -> Found:
        """The machine, once its provider says that it is in that state; it is told to, unless it is so already."""
        found = await self.look(cloud, machine)
        if found.state != state:
            self.show(f"{machine.name}: asking {cloud.name}")
            await self.ask(tell, found.id)
            found = await self.look(cloud, machine)
        while found.state != state:
            self.show(f"{machine.name}: {found.state}")
            await self.pause(
                until, f"{machine.name} is still {found.state} at {cloud.name}; see there why", *why(found)
            )
            found = await self.look(cloud, machine)
        return found

    async def look(self, cloud: Cloud, machine: Machine) -> Found:
        """The machine as its provider sees it. Raises NotFound if it is gone there."""
        found: Found | None = await self.ask(cloud.machine, machine.id)
        if found is None:
            raise NotFound(f"{machine.name} is gone at {cloud.name}; forget it: gitdeploy destroy-node {machine.name}")
        return found


def why(found: Found) -> tuple[str, ...]:
    return (found.problem,) if found.problem else ()
