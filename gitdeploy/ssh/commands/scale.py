"""``ps:scale APP [TYPE=COUNT ...]``: how many workers of each type there are to be, from now on and at each deploy.

``TYPE=`` takes that back: what counts is app.yaml again.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace

from buildless.processes import MOST

from ...deploy import data
from ...errors import BadName, NotFound
from ...names import Place, nearest, quoted
from .call import Call, CommandSpec, app

COUNT = re.compile(r"([^=]+)=([0-9]{0,3})")


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("counts", nargs="*", default=[], metavar="TYPE=COUNT")


def parse(words: list[str]) -> dict[str, int | None]:
    """What was typed, None for a number that is taken back. Raises BadName."""
    found: dict[str, int | None] = {}
    for word in words:
        match = COUNT.fullmatch(word)
        if match is None or int(match[2] or 0) > MOST:
            raise BadName(f"{quoted(word)} is no count of workers; write such as worker=2, from 0 to {MOST}")
        found[match[1]] = int(match[2]) if match[2] else None
    return found


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    said = parse(call.args.counts)
    if not said:
        return await scale(call, place, said)
    async with data.turn(call.site, place, call.user, call.io.error):  # a deploy starts workers, or wants none to write
        return await scale(call, place, said)


async def scale(call: Call, place: Place, said: dict[str, int | None]) -> int:
    """Have these counts count, if there are any, and say what there is to be."""
    types = await live_types(call, place)
    store = call.site.config_vars(place)
    before = store.read(place.environment)
    for name, number in said.items():
        if number is None and name in before.scale:
            continue
        if name == "web":
            raise BadName("web answers requests; how many of it each node has is processes of web: in gitdeploy.yaml")
        if types.get(name, {}).get("path") is not None:
            raise BadName(f"{name} answers requests, and there is one of it on each node; only workers are counted")
        if name not in types:
            guess = nearest(name, types)
            advice = f"did you mean {guess}?" if guess else "name it under processes: in app.yaml, and push"
            raise NotFound(f"{place.app} has no process type {quoted(name)} in {place.environment}; {advice}")
    counts = {name: number for name, number in {**before.scale, **said}.items() if number is not None}
    late = []
    if said:
        what = f"Scale {' '.join(call.args.counts)}"
        after = replace(before, scale=counts)
        after = store.propose(place.environment, after, call.user, what, call.site.reactor.seconds())
        store.accept(place.environment, before, after)
        for node in call.site.nodes_of(place):
            if await node.reach() is not None:
                late.append(node.name)
                continue
            async with call.site.talking(node) as session:
                await session.scale(call.site.key(place), counts)
    workers = {name: counts.get(name, one["count"]) for name, one in types.items() if one["path"] is None}
    for name, count in workers.items():
        call.io.write(f"{name}={count}")
    for name in sorted(set(counts) - set(workers)):
        drop = f"ps:scale {call.args.app} {name}="
        call.io.write(f"{name}={counts[name]} is kept, and what is live has no such worker; to drop that: {drop}")
    if not workers:
        call.io.write(f"{place.app} has no workers; name them under processes: in app.yaml")
    for name in late:
        call.io.write(f"{name} does not answer; it has as many when it is back")
    return 0


async def live_types(call: Call, place: object) -> dict[str, dict[str, object]]:
    """The process types of what is live, as the first node that can be asked says."""
    for node in call.site.nodes_of(place):
        if await node.reach() is None:
            state = await call.site.ask(node, "state", app=call.site.key(place))
            live = [one for one in state["releases"] if one["release"] == state["live"]]
            return {name: said for one in live for name, said in one.get("processes", {}).items()}
    raise NotFound("none of its nodes answers; see: gitdeploy list-nodes")


SPEC = CommandSpec("ps:scale", "how many workers of each type there are, or are to be (worker=2)", arguments, run)
