"""``ps APP``: the processes of an app."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ...nodes.node import Process
from .call import Call, CommandSpec, app, as_json


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    as_json(parser)


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    key = call.site.key(place)
    live: dict[str, str | None] = {}
    down: dict[str, str] = {}
    found: list[Process] = []
    for node in call.site.nodes_of(place):
        if (problem := await node.reach()) is not None:
            down[node.name] = problem
            continue
        async with call.site.talking(node) as session:
            live[node.name] = (await session.call("state", call.site.config.limits.step, app=key))["live"]
            found += await session.processes(key)
    if call.args.json:
        out = call.site.in_maintenance(place)
        call.json({"live": live, "down": down, "maintenance": out, "processes": [asdict(process) for process in found]})
        return 0
    if call.site.in_maintenance(place):
        call.io.write(f"{place} is out of service, see: maintenance")
    for name, release in live.items():
        call.io.write(f"{name}: {release or 'nothing'} is live")
    for name, problem in down.items():
        call.io.write(f"{name}: down: {problem}; it catches up when it is back")
    if found:
        rows = [
            (one.node, ", ".join(one.serves), one.type, one.state, one.pid or "-", one.restarts, f"{one.up:.0f} s")
            for one in found
        ]
        call.table(rows, ("NODE", "SERVES", "TYPE", "STATE", "PID", "RESTARTS", "UP"))
    return 0


SPEC = CommandSpec("ps", "the processes of an app", arguments, run)
