"""``apps``: every app, where it is deployed and what is live there."""

from __future__ import annotations

import argparse
from contextlib import suppress

from buildless.values import ANY

from ...errors import NotFound, Refused
from ...names import Place
from .call import Call, CommandSpec, as_json


def arguments(parser: argparse.ArgumentParser) -> None:
    as_json(parser)


async def run(call: Call) -> int:
    rows = []
    for place in call.site.places():
        if call.io.remote and not call.may(place):
            continue
        releases = call.site.repository(place.app).releases(place.environment)
        latest = releases[-1] if releases else None
        rows.append({
            "app": place.app, "environment": place.environment, "release": f"v{latest.number}" if latest else None,
            "commit": latest.commit if latest else None,
            "urls": await urls(call, place) if not call.site.offline else [],
        })  # fmt: skip
    if call.args.json:
        call.json(rows)
    elif rows:
        call.table(
            [
                (
                    row["app"],
                    row["environment"],
                    row["release"] or "-",
                    (row["commit"] or "-")[:7],
                    " ".join(row["urls"]),
                )
                for row in rows
            ],
            ("APP", "ENVIRONMENT", "RELEASE", "COMMIT", "URL"),
        )
    else:
        call.io.write("There are no apps yet. The first push makes one: git push ssh://deploy@HOST/shop master")
    return 0


async def urls(call: Call, place: Place) -> list[str]:
    """Where an app answers, as the first of its nodes says that has it live and can be asked."""
    site = call.site
    for name in site.environment(place).nodes:
        with suppress(Refused, NotFound):  # it is lost just now, or gone
            node = site.node(name)
            state = await site.ask(node, "state", app=site.key(place)) if await node.reach() is None else {}
            for one in state.get("releases", ()):
                if one["release"] == state["live"]:
                    return [node.url(host) for host in one["hosts"] if host != ANY]
    return []


SPEC = CommandSpec("apps", "every app and what is live of it", arguments, run, offline=True)
