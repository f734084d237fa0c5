"""``list-nodes``: the machines that there are, and those at providers that nobody here knows of."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from ..errors import GitdeployError
from ..nodes import providers
from ..nodes.cloud import Found
from ..nodes.fleet import Machine
from ..nodes.work import Work
from ..ssh.commands.call import as_json
from .call import LocalCall, LocalSpec


@dataclass(frozen=True)
class Row:
    """A machine. `state` is its provider's word; `recorded` says whether it is a node of this server."""

    name: str
    provider: str | None
    id: str | None
    address: str | None
    port: int
    login: str | None
    state: str
    roles: tuple[str, ...]
    setup: str | None
    drained: bool
    recorded: bool


def arguments(parser: argparse.ArgumentParser) -> None:
    as_json(parser)


async def run(call: LocalCall) -> int:
    asked = sorted(call.config.providers)
    answers = await gatherResults([Deferred.fromCoroutine(ask(call, name)) for name in asked], consumeErrors=True)
    found = rows(call.fleet.all(), dict(zip(asked, answers, strict=True)))
    if call.args.json:
        call.json([asdict(row) for row in found])
    elif found:
        call.table([cells(row) for row in found], ("NAME", "PROVIDER", "ADDRESS", "STATE", "ROLES", "SET UP"))
        for row in found:
            if not row.recorded:
                call.say(f"{row.name} ({row.id}) is no node of this server; if nobody needs it: {destroying(row)}")
    else:
        call.say("There are no nodes but the embedded one; make one: gitdeploy create-node web1")
    return 0


async def ask(call: LocalCall, name: str) -> list[Found] | None:
    """The machines at a provider; None, and a warning, if it cannot be asked."""

    def machines() -> list[Found]:
        return providers.connect(name, call.config.providers[name]).machines()

    try:
        return await Work(call.reactor, machines).result()
    except GitdeployError as error:
        call.terminal.warn(f"gitdeploy: {error}")
        return None


def rows(machines: list[Machine], answers: dict[str, list[Found] | None]) -> list[Row]:
    """The machines with their states: those that are recorded, then those that carry our mark and are not; pure."""
    made = []
    for machine in machines:
        there = answers.get(machine.provider or "")
        one = next((found for found in there or () if found.id == machine.id), None)
        state = (
            one.state
            if one
            else "gone"
            if there is not None and machine.provider
            else "not known"
            if machine.provider
            else "-"
        )
        made.append(Row(
            machine.name, machine.provider, machine.id, machine.address, machine.port, machine.login, state, machine.roles,
            machine.setup, machine.drained, True,
        ))  # fmt: skip
    known = {(machine.provider, machine.id) for machine in machines}
    for provider, there in answers.items():
        made += [
            Row(one.name, provider, one.id, one.address, 22, None, one.state, (), None, False, False)
            for one in there or ()
            if one.name and (provider, one.id) not in known
        ]
    return made


def cells(row: Row) -> tuple[Any, ...]:
    address = row.address or "-"
    if row.port != 22:
        address = f"[{address}]:{row.port}" if ":" in address else f"{address}:{row.port}"
    state = f"{row.state}, drained" if row.drained else row.state
    return (row.name, row.provider or "-", address, state, " ".join(row.roles) or "-", set_up(row))


def set_up(row: Row) -> str:
    return (row.setup or "no") if row.recorded else "not ours"


def destroying(row: Row) -> str:
    name = row.name if row.name == row.id else row.id
    return f"gitdeploy destroy-node {name} --provider {row.provider}"


SPEC = LocalSpec("list-nodes", "the machines that there are, and what their providers say of them", arguments, run)
