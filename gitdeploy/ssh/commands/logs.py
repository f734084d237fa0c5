"""``logs APP [-n N] [-f]``: what the app's processes wrote."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from ...errors import GitdeployError, Refused
from ...nodes.node import Node
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
    read = await each(call, nodes, lambda node: node.logs(key, most))
    found = [(line, marks[node.name]) for node, lines in read for line in lines]
    if len(nodes) > 1:
        found.sort(key=lambda one: one[0][:TIME])
    for line, mark in found[len(found) - min(most, len(found)) :]:
        call.io.write(mark + plain(line))
    if call.args.follow:
        there = [node for node, _ in read]
        await each(call, there, lambda node: node.follow(key, writer(call, marks[node.name])))
    return 0


async def each(
    call: Call, nodes: Sequence[Node], work: Callable[[Node], Coroutine[Any, Any, Any]]
) -> list[tuple[Node, Any]]:
    """Do `work` on all nodes at once; returns what it gave, of those that answer. Raises Refused if none does.

    Of each other one standard error says at once why its lines are not there.
    """
    lost: list[str] = []

    async def one(node: Node) -> list[tuple[Node, Any]]:
        try:
            if (problem := await node.reach()) is not None:
                raise Refused(f"it does not answer: {problem}")
            return [(node, await work(node))]
        except GitdeployError as error:
            lost.append(f"{node.name}: {error}")
            if len(lost) < len(nodes):
                call.io.error(f"gitdeploy: {lost[-1]}; what it writes is not shown")
            return []

    results: list[tuple[bool, Any]] = await DeferredList(
        [Deferred.fromCoroutine(one(node)) for node in nodes], consumeErrors=True
    )
    for failure in [result for success, result in results if not success]:  # whoever reads went away
        failure.raiseException()
    if len(lost) == len(nodes):
        raise Refused(f"{lost[-1]}; look whether it runs, see: nodes")
    return [found for _, result in results for found in result]


def writer(call: Call, mark: str) -> Callable[[str], None]:
    """What writes lines of a node."""
    return lambda line: call.io.write(mark + plain(line))


SPEC = CommandSpec("logs", "what the app wrote: the last N lines; -f goes on", arguments, run)
