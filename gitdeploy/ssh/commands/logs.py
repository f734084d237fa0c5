"""``logs APP [-n N] [-f]``: what the app's processes wrote."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from ...text import plain, whole
from .call import Call, CommandSpec, app

TIME = len("2026-11-24T01:02:03.123Z")


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("-n", type=whole, default=100, metavar="N")
    parser.add_argument("-f", action="store_true", dest="follow")


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    key, nodes = call.site.key(place), call.site.nodes_of(place)
    marks = {node.name: f"{node.name} " if len(nodes) > 1 else "" for node in nodes}
    most = max(0, call.args.n)
    found = [(line, marks[node.name]) for node in nodes for line in await node.logs(key, most)]
    if len(nodes) > 1:
        found.sort(key=lambda one: one[0][:TIME])
    for line, mark in found[len(found) - min(most, len(found)) :]:
        call.io.write(mark + plain(line))
    if call.args.follow:
        following = [Deferred.fromCoroutine(node.follow(key, writer(call, marks[node.name]))) for node in nodes]
        ended: list[tuple[bool, Any]] = await DeferredList(following, consumeErrors=True)
        for failure in [result for success, result in ended if not success]:  # whoever reads went away
            failure.raiseException()
    return 0


def writer(call: Call, mark: str) -> Callable[[str], None]:
    """What writes lines of a node."""
    return lambda line: call.io.write(mark + plain(line))


SPEC = CommandSpec("logs", "what the app wrote: the last N lines; -f goes on", arguments, run)
