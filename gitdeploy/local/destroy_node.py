"""``destroy-node NAME``: destroy a machine at its provider, and forget it."""

from __future__ import annotations

import argparse

from ..config import Config
from ..errors import NotFound, Refused
from ..names import quoted
from ..nodes import providers
from ..nodes.cloud import Cloud
from ..nodes.fleet import Machine
from ..nodes.work import Work
from .call import LocalCall, LocalSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--provider", metavar="P")
    parser.add_argument("--force", action="store_true")


async def run(call: LocalCall) -> int:
    name = call.args.name
    if call.args.provider:
        return await unrecorded(call, name, call.args.provider)
    machine = call.fleet.get(name)
    used = using(call.config, name)
    if used and not call.args.force:
        raise Refused(
            f"{name} is a node of {' and '.join(used)} in gitdeploy.yaml; take it out there first, or: --force"
        )
    if machine.provider is None:
        call.fleet.remove(name)
        call.say(f"{name} is forgotten; the machine at {machine.address} goes on, as no provider of ours made it")
        return 0
    return await destroy(call, machine)


async def destroy(call: LocalCall, machine: Machine) -> int:
    """A machine of a provider."""
    assert machine.provider is not None and machine.id is not None
    cloud = connect(call, machine.provider)
    call.terminal.show(f"{machine.name}: being destroyed at {cloud.name}")
    work = Work(call.reactor, cloud.destroy, machine.id)
    there = await work.result()
    call.fleet.remove(machine.name)
    call.say(
        f"{machine.name} is destroyed"
        if there
        else f"{machine.name} was gone at {cloud.name} already, and is forgotten"
    )
    return 0


async def unrecorded(call: LocalCall, name: str, provider: str) -> int:
    """A machine that carries our mark at a provider, by its name or the provider's own name for it, recorded here or not."""
    cloud = connect(call, provider)
    machines = await Work(call.reactor, cloud.machines).result()
    found = [one for one in machines if one.name is not None and name in (one.name, one.id)]
    if not found:
        raise NotFound(f"{provider} has no machine {quoted(name)} that gitdeploy made; see: list-nodes")
    if len(found) > 1:
        raise Refused(
            f"{provider} has several machines {name}; write which one instead: {', '.join(one.id for one in found)}"
        )
    for machine in call.fleet.all():
        if (machine.provider, machine.id) == (provider, found[0].id):
            raise Refused(
                f"that is the node {machine.name}; destroy it by its name: gitdeploy destroy-node {machine.name}"
            )
    await Work(call.reactor, cloud.destroy, found[0].id).result()
    call.say(f"{found[0].name} ({found[0].id}) is destroyed")
    return 0


def connect(call: LocalCall, provider: str) -> Cloud:
    name = providers.only(call.config.providers, provider)
    return providers.connect(name, call.config.providers[name])


def using(config: Config, name: str) -> list[str]:
    """The environments that need a node."""
    return [one.name for one in config.environments.values() if name in one.machines]


SPEC = LocalSpec("destroy-node", "destroy a machine at its provider, and forget it", arguments, run)
