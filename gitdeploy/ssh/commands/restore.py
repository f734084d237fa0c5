"""``restore APP --confirm APP < FILE``, ``clear``, ``clone-data``: what replaces data, and so wants to be confirmed."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator

from ...deploy import data
from ...errors import Refused
from ...names import Place
from .call import Call, CommandSpec, app


def confirmed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confirm", metavar="APP")


def restoring(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("services", nargs="*", default=[], metavar="SERVICE")
    parser.add_argument("--kept", metavar="BACKUP")
    confirmed(parser)


def clearing(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("services", nargs="+", metavar="SERVICE")
    confirmed(parser)


def cloning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("origin", metavar="FROM/APP")
    parser.add_argument("app", metavar="TO/APP")
    parser.add_argument("services", nargs="*", default=[], metavar="SERVICE")
    confirmed(parser)


def confirm(call: Call, place: Place, what: str) -> None:
    """Raises Refused unless the app whose data go is named twice."""
    said = call.args.confirm
    if said is None:
        raise Refused(f"this {what}; if it is to be, write once more whose they are: --confirm {call.args.app}")
    if call.place(said) != place:
        raise Refused(
            f"this {what}, and {said} is not {call.args.app}; nothing was changed: look at which one you mean"
        )


async def received(call: Call) -> AsyncIterator[bytes]:
    """What comes on standard input."""
    while piece := await call.io.receive():
        yield piece


async def restore(call: Call) -> int:
    place, services = call.place(call.args.app), data.named(call.args.services)
    call.site.existing(place.app)
    confirm(call, place, f"replaces the data of {call.args.app} with those of the backup")
    if call.args.kept is not None:
        file = call.args.kept
    else:
        async with data.keeping(call.site, place) as kept:
            file = await kept.take(received(call))
    answer = await data.replace(call.site, place, call.user, call.io, lambda kept: kept.restore(file, services), file)
    await data.let_in(call.site, place)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(answer["time"]))
    call.io.write(f"{call.args.app} has {', '.join(answer['services'])} as of {when} (UTC)")
    return 0


async def clear(call: Call) -> int:
    place, services = call.place(call.args.app), data.named(call.args.services)
    call.site.existing(place.app)
    confirm(call, place, f"deletes all that {call.args.app} has in {', '.join(services)}")
    await data.replace(call.site, place, call.user, call.io, lambda kept: kept.clear(services))
    call.io.write(f"{call.args.app} has nothing in {', '.join(services)} any more")
    return 0


async def clone(call: Call) -> int:
    origin, place, services = call.place(call.args.origin), call.place(call.args.app), data.named(call.args.services)
    for one in (origin, place):
        call.site.existing(one.app)
    if origin == place:
        raise Refused(f"{origin} has its own data already; name another environment")
    confirm(call, place, f"replaces the data of {call.args.app} with those of {call.args.origin}")
    async with data.keeping(call.site, origin) as source, data.keeping(call.site, place) as kept:
        async with data.turn(call.site, origin, call.user, call.io.error):
            made = await source.backup(services)
        try:
            file = await kept.take(source.pieces(made["file"]))
        finally:
            await source.remove(made["file"])
    answer = await data.replace(
        call.site, place, call.user, call.io, lambda kept: kept.restore(file, services, origin.app), file
    )
    call.io.write(f"{call.args.app} has {', '.join(answer['services'])} of {call.args.origin}")
    return 0


def takes(args: argparse.Namespace) -> bool:
    return args.kept is None and args.confirm is not None


SPECS = (
    CommandSpec(
        "restore", "put the data of a backup, on standard input, in place of an app's", restoring, restore, takes=takes
    ),
    CommandSpec("clear", "delete what an app has in some of its services", clearing, clear),
    CommandSpec("clone-data", "give an app the data that it has in another environment", cloning, clone),
)
