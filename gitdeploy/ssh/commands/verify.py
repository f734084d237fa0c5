"""``verify [APP]``: whether what every node serves is byte for byte what its ref names, and runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from buildless.processes import WEB

from ...deploy import agreement
from ...errors import GitdeployError, NotFound
from ...names import Place, spell
from ...nodes.fleet import gone
from ...nodes.node import Node
from .call import Call, CommandSpec, as_json

SHOWN = 20  # files that differ


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", nargs="?", metavar="[ENVIRONMENT/]APP")
    as_json(parser)


async def run(call: Call) -> int:
    places = [call.place(call.args.app)] if call.args.app else [one for one in call.site.places() if call.may(one)]
    if call.args.app:
        call.site.existing(places[0].app)
    asked = [
        Deferred.fromCoroutine(row(call, place, name))
        for place in places
        for name in call.site.environment(place).nodes
    ]
    rows: list[dict[str, Any]] = await gatherResults(asked, consumeErrors=True)
    if call.args.json:
        call.json(rows)
    else:
        for one in rows:
            where = f"{one['app']} on {one['node']}"
            if not one["problems"]:
                call.io.write(f"       {where}: {one['release']} is {one['commit'][:7]}, every file of it, and runs")
            for problem in one["problems"]:
                call.io.write(f" !     {where}: {problem}")
    return 1 if any(one["problems"] for one in rows) else 0


async def row(call: Call, place: Place, name: str) -> dict[str, Any]:
    """What was found of one app on the node called `name`; `problems` is empty when all is as it should be."""
    site, key, app = call.site, call.site.key(place), spell(place, call.site.config.default_environment)
    found: dict[str, Any] = {"app": str(place), "node": name, "release": None, "commit": None, "problems": []}
    problems: list[str] = found["problems"]
    try:
        node: Node = site.node(name)
        if (reason := await node.reach()) is not None:
            problems.append(f"it does not answer: {reason}")
            return found
        async with site.talking(node) as session:
            answer = await session.call("examine", site.config.limits.step, app=key)
            services = await session.call("check_services", site.config.limits.step, app=key)
            state = await session.call("state", site.config.limits.step, app=key)
            processes = await session.processes(key)
    except NotFound:
        problems.append(gone(place.environment, name))
        return found
    except GitdeployError as error:
        problems.append(str(error))
        return found
    repository, branch = site.repository(place.app), site.branch(place)
    wanted = repository.ref(place.environment, branch) if branch else None
    found["release"], found["commit"] = answer["live"], answer["commit"]
    if problem := agreement.ahead(repository, place.environment, answer["live"], answer["commit"]):
        problems.append(f"it {problem}, or to go back to what it knows: redeploy {place}")
        return found
    if wanted is None or answer["live"] is None or answer["commit"] != wanted:
        serves = f"{answer['live']} ({answer['commit'][:7]})" if answer["live"] else "nothing"
        problems.append(f"its ref names {(wanted or 'nothing')[:7]}, it serves {serves}; deploy it: redeploy {app}")
        return found
    commit = repository.commit(wanted)
    if commit is None or answer["tree"] != commit.tree or answer["differs"]:
        names = answer["differs"]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        problems.append(
            f"files differ from the commit: {', '.join(names[:SHOWN])}{more}; somebody changed them there: push another commit,"
            " which sends all of them again (git commit --allow-empty)"
        )
    record: dict[str, Any] = next((one for one in state["releases"] if one["release"] == answer["live"]), {})
    running = {one.type for one in processes if answer["live"] in one.serves and one.state == "running"}
    for name in sorted(wanted_types(record, site.counts(place)) - running):
        what = "no process" if name == WEB else f"no {name} process"
        problems.append(f"{what} of {answer['live']} is running; start it: redeploy {app}")
    problems += [f"{name} is not well: {said}" for name, said in services["services"].items() if said]
    recorded = [f"v{release.number}" for release in repository.releases(place.environment)][-1:]
    if recorded != [answer["live"]]:
        problems.append(
            f"the latest release on record is {(recorded or ['none'])[0]}, it serves {answer['live']};"
            f" deploy it: redeploy {app}"
        )
    return found


def wanted_types(record: Mapping[str, Any], counts: Mapping[str, int]) -> set[str]:
    """The process types of a release of which there are to be processes."""
    found = {
        name
        for name, said in record.get("processes", {}).items()
        if said["path"] is not None or counts.get(name, said["count"])
    }
    return {*found, WEB} if record.get("runs") else found


SPEC = CommandSpec("verify", "whether what the nodes serve is what the refs name, byte for byte", arguments, run)
