"""``destroy APP --confirm APP``: the end of an app in an environment; a backup of its data stays."""

from __future__ import annotations

import argparse

from .call import Call, CommandSpec, app
from .restore import confirm, confirmed


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)
    confirmed(parser)


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    confirm(call, place, f"deletes {call.args.app} and all that it has there")
    assert call.destroy is not None
    await call.destroy(place, call.user, lambda data: call.io.write(data.decode().rstrip("\n")))
    call.io.write(f"{call.args.app} is no more")
    return 0


SPEC = CommandSpec(
    "destroy", "delete an app from an environment, its data too; a backup of these stays", arguments, run
)
