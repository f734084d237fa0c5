"""``schema``: the JSON schema of app.yaml, with which editors complete and explain its keys."""

from __future__ import annotations

import argparse
import json

from buildless.schema import schema

from .call import DevelopCall, DevelopSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


async def run(call: DevelopCall) -> int:
    call.say(json.dumps(schema(), indent=1, ensure_ascii=False))
    return 0


SPEC = DevelopSpec("schema", "the JSON schema of app.yaml, for editors", arguments, run)
