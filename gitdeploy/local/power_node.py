"""``start-node NAME...`` and ``stop-node NAME...``: have providers start machines that are stopped, and shut others down."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.python.failure import Failure

from ..errors import GitdeployError, Refused
from ..nodes.cloud import Cloud
from ..nodes.fleet import Machine
from ..nodes.power import Power
from ..text import seconds
from .call import LocalCall, LocalSpec
from .create_node import WAIT
from .destroy_node import connect, using
from .setup_node import machines, tell


def starting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--wait", metavar="SECONDS", type=seconds, default=WAIT)


def stopping(parser: argparse.ArgumentParser) -> None:
    starting(parser)
    parser.add_argument("--force", action="store_true")


async def start(call: LocalCall) -> int:
    return await each(call, started)


async def stop(call: LocalCall) -> int:
    for name in machines(call.args.names, call.config, call.fleet):
        used = using(call.config, name)
        if used and not call.args.force:
            raise Refused(
                f"{name} is a node of {' and '.join(used)} in gitdeploy.yaml, which goes on without it;"
                f" take it out of service first (nodes:drain {name}), then: --force"
            )
    return await each(call, stopped)


async def each(call: LocalCall, do: Callable[[LocalCall, Power, Machine, Cloud], Coroutine[Any, Any, None]]) -> int:
    """One after the other; what fails is told, and the others are done all the same."""
    chosen = [call.fleet.get(name) for name in machines(call.args.names, call.config, call.fleet)]
    power = Power(call.reactor, call.say, call.terminal.show)
    failed = False
    for machine in chosen:
        try:
            await do(call, power, machine, cloud_of(call, machine))
        except GitdeployError as error:
            failed = True
            tell(call, machine.name, Failure(error))
    return 1 if failed else 0


async def started(call: LocalCall, power: Power, machine: Machine, cloud: Cloud) -> None:
    address = await power.start(cloud, machine, call.args.wait)
    if address != machine.address:
        call.fleet.change(machine.name, address=address)
        again = " ".join(using(call.config, machine.name)) or machine.name
        call.say(f"{machine.name} has another address than before; let others know: gitdeploy setup-node {again}")
    call.say(f"{machine.name} runs, at {address}")


async def stopped(call: LocalCall, power: Power, machine: Machine, cloud: Cloud) -> None:
    await power.stop(cloud, machine, call.args.wait)
    call.say(f"{machine.name} is stopped; start it again: gitdeploy start-node {machine.name}")


def cloud_of(call: LocalCall, machine: Machine) -> Cloud:
    """The provider of a machine. Raises Refused for one that has none."""
    if machine.provider is None:
        raise Refused(
            f"no provider of ours made {machine.name} (create-node --from); do it where the machine at {machine.address} is"
        )
    return connect(call, machine.provider)


SPECS = (
    LocalSpec("start-node", "have machines that are stopped started by their providers", starting, start),
    LocalSpec("stop-node", "have machines shut down by their providers; what they have stays", stopping, stop),
)
