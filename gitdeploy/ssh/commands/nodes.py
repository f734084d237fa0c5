"""``nodes``, ``nodes:drain``, ``nodes:resume``: how the nodes are, and which of them get requests."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from ...deploy import former
from ...errors import Refused
from ...nodes.fleet import BALANCER
from ...nodes.node import Node
from .call import Call, CommandSpec, as_json


def node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE")


async def show(call: Call) -> int:
    environments = call.site.config.environments.values()
    used = {name for one in environments for name in one.machines}
    names = sorted(used | set(call.site.fleet.names()))
    results: list[tuple[bool, Any]] = await DeferredList(
        [Deferred.fromCoroutine(row(call, name)) for name in names], consumeErrors=True
    )
    rows: list[dict[str, Any]] = []
    for success, result in results:
        if not success:
            result.raiseException()
        rows.append(result)
    if call.args.json:
        call.json(rows)
    else:
        call.table(
            [(one["node"], one["address"], one["state"], one["setup"], ", ".join(one["environments"]) or "-",
              ", ".join(one["behind"]) or "-") for one in rows],
            ("NODE", "ADDRESS", "STATE", "SET UP", "ENVIRONMENTS", "BEHIND"),
        )  # fmt: skip
        for one in rows:
            for key in one["withdrawn"]:
                call.io.write(
                    f"{key} has data on {one['node']} and does not run there: no environment of it lists that node"
                )
    return 0


async def row(call: Call, name: str) -> dict[str, Any]:
    """What `nodes` says of one node."""
    environments = call.site.config.environments.values()
    found: dict[str, Any] = {
        "node": name, "address": "-", "state": "not there", "setup": "-", "behind": [], "withdrawn": [],
        "environments": [one.name for one in environments if name in one.machines],
    }  # fmt: skip
    if name not in (*call.site.fleet.names(), "embedded"):
        found["state"] = f"not there; run: gitdeploy create-node {name}"
        return found
    try:
        one = call.site.node(name)
        found["address"] = one.address
        problem, status = await asked(call, one)
        if problem is not None:
            found["state"] = call.site.fleet.unready(name, problem) or f"down: {problem}"
            found["behind"] = missed(call, one)
            return found
        found["behind"] = await behind(call, one)
        if call.administers():
            async with call.site.talking(one) as session:
                found["withdrawn"] = (await former.strangers(call.site, session, one))["withdrawn"]
    except Refused as error:
        found["state"] = str(error)
        return found
    up = status.get("in_service", True) or not former.serves(call.site, name)
    found["state"] = "drained" if call.site.fleet.drained(name) else "up" if up else "catching up"
    if status:
        found["setup"] = "current" if one.setup in (None, status["setup"]) else f"run: gitdeploy setup-node {name}"
    return found


async def asked(call: Call, one: Node) -> tuple[str | None, dict[str, Any]]:
    """Why a node is down, if it is, and what it says of itself. Raises Refused."""
    if (problem := await one.reach()) is not None:
        return problem, {}
    async with call.site.talking(one) as session:
        try:
            return None, await session.status()
        except Refused as error:
            if not session.ended:
                raise
            return str(error), {}  # it was lost just now, which the connection itself learns later


def missed(call: Call, one: Node) -> list[str]:
    """The apps that were deployed without a node, which is down; only those that the user has to do with."""
    return [
        str(place)
        for place in call.site.places()
        if one.name in call.site.environment(place).nodes
        and (call.may(place) or not call.io.remote)
        and call.site.is_deployed(place)
        and call.site.journal.missed(place.app, place.environment, one.name)
    ]


async def behind(call: Call, one: Node) -> list[str]:
    """The apps of which a node serves another commit than their ref names; only those that the user has to do with."""
    found = []
    for place in call.site.places():
        if one.name in call.site.environment(place).nodes and (call.may(place) or not call.io.remote):
            state = await call.site.ask(one, "state", app=call.site.key(place))
            live = [release["commit"] for release in state["releases"] if release["release"] == state["live"]]
            branch = call.site.branch(place)
            if branch and live != [call.site.repository(place.app).ref(place.environment, branch)]:
                found.append(str(place))
    return found


def check(call: Call) -> Node:
    """The node that is meant, if the user may change it. Raises Refused or NotFound."""
    if not call.administers():
        raise Refused(f"{call.user} may not change nodes; see admins in gitdeploy.yaml")
    found: Node = call.site.node(call.args.node)
    return found


async def drain(call: Call) -> int:
    one = check(call)
    fleet = call.site.fleet
    machine = one.name in fleet.names()
    if machine:
        if BALANCER in fleet.get(one.name).roles:
            raise Refused(
                f"{one.name} is a balancer, and nothing before it could send its requests elsewhere; drain nodes behind it"
            )
        fleet.change(one.name, drained=True)  # first, so that one that comes back meanwhile is kept out
    try:
        if (problem := await one.reach()) is None:
            async with call.site.talking(one) as session:
                await session.leave()
    except Refused as error:
        if not machine:
            raise
        problem = str(error)
    kept_out, exceptions = outcome(one.name, call.site.config.environments.values(), fleet.drained)
    if problem is not None:
        what = f"does not answer ({problem}); it is {'kept out' if kept_out else 'drained'} when it is back"
    else:
        what = "gets no new requests from its balancer" if kept_out else "is drained"
    call.io.write(f"{one.name} {what}, until: nodes:resume {one.name}")
    for line in exceptions:
        call.io.write(line)
    return 0


def outcome(name: str, environments: Iterable[Any], drained: Callable[[str], bool]) -> tuple[bool, list[str]]:
    """Whether a balancer sends requests elsewhere when a node is drained; and, a line each, where it goes on getting them."""
    kept_out, exceptions = False, []
    for one in environments:
        if name not in one.nodes:
            continue
        if one.balancer is None:
            exceptions.append(
                f"{one.name} has no balancer, and whoever asks {name} is answered as before; to take an app out of service:"
                " maintenance:on APP"
            )
        elif all(drained(other) for other in one.nodes if other != name):
            exceptions.append(
                f"{one.name} has no other node that is not drained, and so {one.balancer} goes on asking {name}"
            )
        else:
            kept_out = True
    return kept_out, exceptions


async def resume(call: Call) -> int:
    one = check(call)
    if one.name not in call.site.fleet.names():
        raise Refused(
            f"the {one.name} node has no balancer before it, and gets requests all the time; see: maintenance"
        )
    call.site.fleet.change(one.name, drained=False)
    if (problem := await one.reach()) is not None:
        call.io.write(f"{one.name} does not answer ({problem}); it gets requests as soon as it is back and up to date")
        return 0
    call.site.rejoin(one)
    call.io.write(f"{one.name} gets requests again as soon as it is up to date; see: nodes")
    return 0


SPECS = (
    CommandSpec("nodes", "the nodes, and how they are", as_json, show),
    CommandSpec("nodes:drain", "let a balancer give a node no new requests", node, drain),
    CommandSpec("nodes:resume", "let a balancer give a node requests again", node, resume),
)
