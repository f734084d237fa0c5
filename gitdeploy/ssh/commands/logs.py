"""``logs APP [-n N] [-f]``: what the app's processes wrote."""

from __future__ import annotations

import argparse

from twisted.internet.defer import Deferred

from .call import Call, CommandSpec, app


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("-n", type=int, default=100, metavar="N")
    parser.add_argument("-f", action="store_true", dest="follow")


async def run(call: Call) -> int:
    from ...deploy.report import plain

    place = call.place(call.args.app)
    call.site.existing(place.app)
    logs = [node.log(call.site.key(place)) for node in call.site.nodes_of(place)]
    for log in logs:
        for line in log.tail(max(0, call.args.n)):
            call.io.write(plain(line))
    if call.args.follow:

        def follow(line: str) -> None:
            call.io.write(plain(line))

        try:
            for log in logs:
                log.followers.add(follow)
            await Deferred()  # until whoever reads goes away
        finally:
            for log in logs:
                log.followers.discard(follow)
    return 0


SPEC = CommandSpec("logs", "what the app wrote: the last N lines; -f goes on", arguments, run)
