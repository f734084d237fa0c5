"""``deploys APP [ID]``: the attempts, or the whole output of one."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ...text import whole
from .call import Call, CommandSpec, app, as_json
from .releases import moment


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("id", nargs="?", metavar="ID")
    parser.add_argument("-n", type=whole, default=20, metavar="N")
    as_json(parser)


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    journal = call.site.journal
    if call.args.id:
        events = list(journal.events(place.app, place.environment, call.args.id))
        if call.args.json:
            call.json(events)
        else:
            for event in events:
                if event["event"] == "say":
                    call.io.write(event["text"])
        return 0
    found = journal.list(place.app, place.environment, max(1, call.args.n))
    if not found:
        call.site.existing(place.app)
    if call.args.json:
        call.json([asdict(deploy) for deploy in found])
        return 0
    call.table(
        [
            (one.id, moment(one.started), one.user, one.source, one.commit[:7] or "-", one.result, one.release or "-",
             "-" if one.seconds is None else f"{one.seconds:.1f} s", one.error or "")
            for one in found
        ],
        ("DEPLOY", "WHEN (UTC)", "BY", "FROM", "COMMIT", "RESULT", "RELEASE", "TOOK", ""),
    )  # fmt: skip
    return 0


SPEC = CommandSpec(
    "deploys", "the attempts, newest last; with an ID, all that one showed", arguments, run, offline=True
)
