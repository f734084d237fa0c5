"""``backup APP > FILE``: all that an app keeps, as one archive; ``backups APP``: those that are kept on its node."""

from __future__ import annotations

import argparse

from ...deploy import data
from ...errors import Refused
from ...text import size
from .call import Call, CommandSpec, app, as_json


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("services", nargs="*", default=[], metavar="SERVICE")


def listing(parser: argparse.ArgumentParser) -> None:
    as_json(parser)
    app(parser)


async def run(call: Call) -> int:
    """It is made in the app's turn, so that no deploy changes things meanwhile; it may take any time to be read."""
    place = call.place(call.args.app)
    call.site.existing(place.app)
    async with data.keeping(call.site, place) as kept:
        async with data.turn(call.site, place, call.user, call.io.error):
            made = await kept.backup(data.named(call.args.services))
        try:
            sent = 0
            async for piece in kept.pieces(made["file"]):
                if not call.io.allowed():
                    raise Refused(f"the key of {call.user} has been removed; what was sent is not whole")
                await call.io.send(piece)
                sent += len(piece)
        finally:
            await kept.remove(made["file"])
    for one in made["services"]:
        for line in one.get("said", ()):
            call.io.error(f"{one['service']}: {line}")
    parts = ", ".join(f"{one['service']} {size(one['size'])}" for one in made["services"])
    call.io.error(f"{call.args.app}: {size(sent)} ({parts})")
    return 0


async def show(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    async with data.keeping(call.site, place) as kept:
        found = (await kept.call("backups"))["backups"]
    if call.args.json:
        call.json(found)
    elif found:
        call.table([(one["file"], size(one["size"])) for one in found], ("BACKUP", "SIZE"))
    else:
        call.io.write(f"no backup of {call.args.app} is kept; make one of your own: backup {call.args.app} > FILE")
    return 0


SPECS = (
    CommandSpec("backup", "all that an app keeps, as one archive on standard output", arguments, run),
    CommandSpec("backups", "the backups that are kept on the app's node", listing, show),
)
