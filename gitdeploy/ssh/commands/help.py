"""``help``: what there is."""

from __future__ import annotations

import argparse

from .call import Call, CommandSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs="?")


async def run(call: Call) -> int:
    from .table import COMMANDS, find, usage

    chosen = [find(call.args.command)] if call.args.command else list(COMMANDS.values())
    rows = usage(chosen)
    width = max(len(row[0]) for row in rows)
    if not call.args.command:
        call.io.write("Push to deploy: git push deploy master. Besides that, with ssh:\n")
    for row in rows:
        call.io.write(f"  {row[0].ljust(width)}  {row[1]}")
    return 0


SPEC = CommandSpec("help", "what there is", arguments, run, offline=True)
