"""``apps``: every app, where it is deployed and what is live there."""

from __future__ import annotations

import argparse

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
            "urls": await call.site.urls(place) if not call.site.offline else [],
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


SPEC = CommandSpec("apps", "every app and what is live of it", arguments, run, offline=True)
