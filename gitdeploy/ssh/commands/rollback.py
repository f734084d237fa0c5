"""``rollback APP [vN]``: make an earlier release's version live again, as a new release."""

from __future__ import annotations

import argparse

from ... import names
from .call import Call, CommandSpec, app


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("release", nargs="?", metavar="vN")


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    number = names.release_name(call.args.release) if call.args.release else None
    commit = call.site.earlier(place, number)
    assert call.again is not None
    await call.again(place, call.user, "rollback", commit, lambda data: call.io.write(data.decode().rstrip("\n")))
    return 0


SPEC = CommandSpec("rollback", "make an earlier release live again (the one before, or vN)", arguments, run)
