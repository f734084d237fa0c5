"""``run APP COMMAND...`` and ``shell APP``: a command of what is live, on one of its nodes, for the one who waits for it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from ...errors import BadName, Refused
from ...nodes.oneoff import OneOff
from .call import Call, CommandSpec, app

DAY = 86_400.0  # seconds that it may take if nothing is said
log = Logger()


def arguments(parser: argparse.ArgumentParser) -> None:
    shell_arguments(parser)
    parser.add_argument("command", metavar="COMMAND")
    parser.add_argument("rest", metavar="ARGUMENT", nargs=argparse.REMAINDER)


def shell_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timeout", type=float, default=DAY, metavar="SECONDS")
    app(parser)


async def run(call: Call) -> int:
    return await begin(call, [call.args.command, *call.args.rest])


async def shell(call: Call) -> int:
    return await begin(call, [])


async def begin(call: Call, words: Sequence[str]) -> int:
    """Run a command; without words it is a Python to type into."""
    place = call.place(call.args.app)
    call.site.existing(place.app)
    if not 0 < call.args.timeout <= DAY:
        raise BadName(f"--timeout {call.args.timeout:g}: write seconds, at most {DAY:g}")
    if call.site.held(place) is not None:
        raise Refused(
            f"the data of {place} are being brought up to date; what is written now may be lost: run it after that"
        )
    key, problems = call.site.key(place), []
    for node in call.site.nodes_of(place):
        if (problem := await node.reach()) is None:
            break
        problems.append(f"{node.name}: {problem}")
    else:
        raise Refused("no node can be reached; look at: nodes", *problems)
    terminal = call.io.terminal
    request = {
        "app": key,
        "python": node.python,
        "words": list(words),
        "terminal": asdict(terminal) if terminal is not None else None,
        "timeout": call.args.timeout,
    }
    log.info(
        "{user} runs {what} of {place} on {node}",
        user=call.user,
        what=words[0] if words else "a shell",
        place=place,
        node=node.name,
    )
    command = OneOff(call.site.reactor, request, *call.io.streams())
    node.start(command)
    call.io.attach(command)
    try:
        return await command.ended
    except CancelledError:
        command.end()
        raise


SPECS = (
    CommandSpec("run", "run a command of the app, in its environment, on one of its nodes", arguments, run),
    CommandSpec(
        "shell", "a Python with the app's modules and environment, on one of its nodes", shell_arguments, shell
    ),
)
