"""``releases APP``: what has been live, newest last."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from .call import Call, CommandSpec, app, as_json


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    as_json(parser)


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    repository = call.site.existing(place.app)
    rows = []
    for release in repository.releases(place.environment):
        commit = repository.commit(release.commit)
        fields = dict(line.split(": ", 1) for line in release.message.splitlines() if ": " in line)
        rows.append({
            "release": f"v{release.number}", "commit": release.commit, "subject": commit.subject if commit else "",
            "user": release.user, "time": release.time, "from": fields.get("from", ""), "deploy": fields.get("deploy"),
        })  # fmt: skip
    if call.args.json:
        call.json(rows)
    else:
        call.table(
            [
                (row["release"], row["commit"][:7], moment(row["time"]), row["user"], row["from"], row["subject"])
                for row in rows
            ],
            ("RELEASE", "COMMIT", "WHEN (UTC)", "BY", "FROM", "SUBJECT"),
        )
    return 0


def moment(time: float) -> str:
    """``2026-11-24 01:02:03`` of POSIX seconds, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


SPEC = CommandSpec("releases", "what has been live, newest last", arguments, run, offline=True)
