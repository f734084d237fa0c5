"""The making of a machine, from a provider's yes to a login that works; what fails or is interrupted leaves nothing behind."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import CancelledError, succeed

from ..errors import CommandFailed, GitdeployError, Refused
from ..runner import Runner
from . import entry, hostkey, offers
from .cloud import Cloud, Found
from .fleet import Fleet, Logins, Machine
from .waiting import RUNNING, STOPPED, Waiting
from .work import Work

FAILED = ("error", STOPPED)


@dataclass(frozen=True)
class Wanted:
    """What kind of machine; None: what `gitdeploy.nodes.offers` takes. `wait` is for how many seconds."""

    size: str | None
    image: str | None
    login: str | None
    roles: tuple[str, ...]
    wait: float
    machine: str
    """The processor, as platform.machine() calls it."""


class Creation(Waiting):
    """One machine."""

    def __init__(
        self, reactor: Any, runner: Runner, fleet: Fleet, logins: Logins,
        say: Callable[[str], None], show: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(reactor, say, show)
        self.runner, self.fleet, self.logins = runner, fleet, logins

    async def create(self, cloud: Cloud, name: str, wanted: Wanted) -> Machine:
        """Have `cloud` make the machine `name`; returns its record. Raises GitdeployError; then, or cancelled, nothing is left."""
        self.show(f"asking {cloud.name}")
        size = wanted.size or offers.smallest(await self.ask(cloud.sizes), wanted.machine).id
        image = wanted.image or offers.newest(await self.ask(cloud.images), wanted.machine).id
        await self.ask(cloud.prepare, image, lambda line: self.reactor.callFromThread(self.say, line))
        self.say(f"{name}: {size}, {image}, at {cloud.name}")
        login = wanted.login or cloud.login
        found = await self.made(
            cloud, Work(self.reactor, cloud.create, name, size, image, login, Logins.public(self.logins.setup))
        )
        try:
            machine = Machine(name, "", 22, login, cloud.name, found.id, wanted.roles)
            machine = await self.reached(cloud, machine, found, wanted.wait)
            return self.fleet.save(machine)
        except BaseException:
            await self.undo(cloud, name, found.id)
            raise

    async def take(self, machine: Machine, wait: float) -> Machine:
        """Take over a machine that is there already; returns its record. Raises Refused, then nothing is noted of it."""
        self.check_new(machine, ())
        try:
            await self.entered(machine, (), wait, lambda: succeed(None))
            return self.fleet.save(machine)
        except BaseException:
            self.fleet.remove(machine.name)
            raise

    async def made(self, cloud: Cloud, work: Work[Found]) -> Found:
        """What the provider made. Cancelled before it has said so: wait, for then there is something to destroy."""
        try:
            return await work.result()
        except CancelledError:
            self.say(f"Waiting for {cloud.name}, to destroy what it is making")
            try:
                found = await work.result()
            except GitdeployError:
                raise CancelledError from None
            await self.undo(cloud, found.name or found.id, found.id)
            raise

    async def undo(self, cloud: Cloud, name: str, number: str) -> None:
        """Destroy what was made of a machine. Raises CommandFailed with how to do it by hand."""
        self.say(f"Destroying {name} again")
        self.fleet.remove(name)
        try:
            await self.ask(cloud.destroy, number)
        except GitdeployError as error:
            raise CommandFailed(
                f"{name} could not be destroyed again and may cost money: gitdeploy destroy-node {name} --provider {cloud.name}",
                f"it is {number} there", str(error), *error.details,
            ) from error  # fmt: skip

    async def reached(self, cloud: Cloud, machine: Machine, found: Found, wait: float) -> Machine:
        """The machine with its address, once it lets us in."""
        until = self.reactor.seconds() + wait
        one = found
        while True:
            address = one.address or (next(iter(one.private), None) if one.state == RUNNING else None)
            self.show(f"{machine.name}: {one.state}, {address or 'no address yet'}")
            if address and one.state == RUNNING:
                break
            await self.pause(until, f"{machine.name} is still {one.state} there, {address or 'without an address'}")
            one = await self.alive(cloud, machine)

        async def alive() -> None:
            await self.alive(cloud, machine)

        machine = replace(machine, address=address)
        await self.entered(machine, one.host_keys, until - self.reactor.seconds(), alive)
        return machine

    async def alive(self, cloud: Cloud, machine: Machine) -> Found:
        """The machine as its provider sees it. Raises Refused if it is none that will come."""
        one: Found | None = await self.ask(cloud.machine, machine.id)
        if one is None:
            raise Refused(f"{cloud.name} has given {machine.name} up; look there why, then create it again")
        if one.state in FAILED:
            why = (one.problem,) if one.problem else ()
            raise Refused(f"{machine.name} is {one.state} at {cloud.name}; see there why, then create it again", *why)
        return one

    async def entered(
        self, machine: Machine, keys: tuple[str, ...], wait: float, alive: Callable[[], Awaitable[None]]
    ) -> None:
        """Wait until the machine lets us in, and pin its host keys: those that are known (`keys`), else those that it says.

        While nothing answers `alive` is asked now and then; it raises Refused when there is no hope any more.
        """
        until = self.reactor.seconds() + wait
        where = f"{machine.address} port {machine.port}"
        await self.answered(machine.name, machine.address, machine.port, until, alive)
        while not keys:
            try:
                keys = tuple(await entry.host_keys(self.runner, machine))
            except GitdeployError as error:
                await self.pause(until, str(error))
        if machine.provider is None:
            self.check_new(machine, keys)
        self.fleet.pin(machine.name, keys)
        self.say(f"{machine.name}: {where}, host key {hostkey.fingerprint(keys[0])} ({keys[0].partition(' ')[0]})")
        told = (
            machine.provider is not None
        )  # a provider's machine lets our key in by itself, soon after its sshd answers
        while True:
            try:
                return await entry.enter(self.runner, self.fleet, self.logins, machine)
            except CommandFailed as error:
                if not told and re.search(r"Permission denied|sudo", str(error)):
                    told = True
                    self.say(f"{machine.name}: {self.advice(machine)}")
                self.show(f"{machine.name}: {where}, not yet: {error}")
                problem = f"{machine.login} may not log in at {where} and become root: {error}"
                await self.pause(until, problem, self.advice(machine))

    def check_new(self, machine: Machine, keys: tuple[str, ...]) -> None:
        """Raises Refused for a machine that is a node already: one at the same address, or with one of these host keys."""
        for one in self.fleet.all():
            same = (one.address, one.port) == (machine.address, machine.port)
            if same or set(self.fleet.pinned(one.name)).intersection(keys):
                what = "is at that address" if same else "has the host key of that machine"
                raise Refused(
                    f"the node {one.name} {what} already; to have it under another name, first:"
                    f" gitdeploy destroy-node {one.name}"
                )

    def advice(self, machine: Machine) -> str:
        home = "/root" if machine.login == "root" else f"/home/{machine.login}"
        sudo = "" if machine.login == "root" else ", and sudo without a password for it"
        return f"it needs this line in {home}/.ssh/authorized_keys{sudo}: {Logins.public(self.logins.setup)}"
