"""``nodes``, ``nodes:drain``, ``nodes:resume``: how the nodes are, and which of them get requests."""

from __future__ import annotations

import argparse
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from ...deploy import former
from ...errors import Refused
from ...nodes.node import Node
from .call import Call, CommandSpec, as_json


def node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE")


async def show(call: Call) -> int:
    environments = call.site.config.environments.values()
    used = {name for one in environments for name in (*one.nodes, *([one.balancer] if one.balancer else []))}
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
        "environments": [one.name for one in environments if name in (*one.nodes, one.balancer)],
    }  # fmt: skip
    if name not in (*call.site.fleet.names(), "embedded"):
        found["state"] = f"not there; run: gitdeploy create-node {name}"
        return found
    try:
        one = call.site.node(name)
        found["address"] = one.address
        if (problem := await one.reach()) is not None:
            found["state"] = f"down: {problem}"
            return found
        async with call.site.talking(one) as session:
            status = await session.status()
            if call.administers():
                found["withdrawn"] = (await former.strangers(call.site, session, one))["withdrawn"]
        found["behind"] = await behind(call, one)
    except Refused as error:
        found["state"] = str(error)
        return found
    drained = name in call.site.fleet.names() and call.site.fleet.get(name).drained
    up = status.get("in_service", True) or not former.serves(call.site, name)
    found["state"] = "drained" if drained else "up" if up else "catching up"
    if status:
        found["setup"] = "current" if one.setup in (None, status["setup"]) else f"run: gitdeploy setup-node {name}"
    return found


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
    async with call.site.talking(one) as session:
        await session.leave()
    call.site.fleet.change(one.name, drained=True)
    call.io.write(f"{one.name} gets no new requests from its balancer, until: nodes:resume {one.name}")
    return 0


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
