"""``ps APP``: the processes of an app."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from .call import Call, CommandSpec, app, as_json


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    as_json(parser)


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    key = call.site.key(place)
    live = {node.name: node.live(key) for node in call.site.nodes_of(place)}
    found = [process for node in call.site.nodes_of(place) for process in node.running(key)]
    if call.args.json:
        call.json({"live": live, "processes": [asdict(process) for process in found]})
        return 0
    for node, release in live.items():
        call.io.write(f"{node}: {release or 'nothing'} is live")
    if found:
        rows = [
            (one.node, ", ".join(one.serves), one.type, one.state, one.pid or "-", one.restarts, f"{one.up:.0f} s")
            for one in found
        ]
        call.table(rows, ("NODE", "SERVES", "TYPE", "STATE", "PID", "RESTARTS", "UP"))
    return 0


SPEC = CommandSpec("ps", "the processes of an app", arguments, run)
