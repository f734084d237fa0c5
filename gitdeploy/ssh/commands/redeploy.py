"""``redeploy APP``: deploy what is live once more, with fresh processes, as a new release."""

from __future__ import annotations

import argparse

from .call import Call, CommandSpec, app


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)


async def run(call: Call) -> int:
    place = call.place(call.args.app)
    call.site.existing(place.app)
    assert call.again is not None
    await call.again(place, call.user, "redeploy", None, lambda data: call.io.write(data.decode().rstrip("\n")))
    return 0


SPEC = CommandSpec("redeploy", "deploy what is live once more, with fresh processes", arguments, run)
