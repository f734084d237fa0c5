"""``run APP COMMAND...`` and ``shell APP``: a command of what is live, on one of its nodes, for the one who waits for it.

Files of his come first, through ``run:files``, which holds them on a node while it goes on: ``gitdeploy run --remote`` does that.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from ...errors import BadName, Refused
from ...names import Place, spell
from ...nodes.node import Node
from ...nodes.oneoff import Lines, OneOff
from ...text import seconds
from .call import Call, CommandSpec, app

DAY = 86_400.0  # seconds that it may take if nothing is said
log = Logger()


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", metavar="FILES")
    shell_arguments(parser)
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.PARSER)


def shell_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timeout", type=seconds, default=DAY, metavar="SECONDS")
    app(parser)


async def run(call: Call) -> int:
    return await begin(call, call.args.command, call.args.files)


async def shell(call: Call) -> int:
    return await begin(call, [])


async def begin(call: Call, words: Sequence[str], files: str | None = None) -> int:
    """Run a command; without words it is a Python to type into. `files` is what `send` has said."""
    place = call.place(call.args.app)
    call.site.existing(place.app)
    if not 0 < call.args.timeout <= DAY:
        raise BadName(f"--timeout {call.args.timeout:g}: write seconds, at most {DAY:g}")
    if (held := call.site.held(place)) is not None:
        if any(one.place == place for one in call.site.active):
            raise Refused(
                f"the data of {place} are being brought up to date; what is written now may be lost: run it after that"
            )
        raise Refused(held.stuck(spell(place, call.site.config.default_environment)))
    name, _, directory = (files or "").rpartition("/")
    node = await reached(call, place, name)
    terminal = call.io.terminal
    request = {
        "python": node.python, "words": list(words), "terminal": asdict(terminal) if terminal is not None else None,
        "timeout": call.args.timeout, **({"files": directory} if files is not None else {}),
    }  # fmt: skip
    what = words[0] if words else "a shell"
    log.info("{user} runs {what} of {place} on {node}", user=call.user, what=what, place=place, node=node.name)
    return await attached(call, node, place, request, *call.io.streams())


async def send(call: Call) -> int:
    """Hold the files of the archive that comes on a node, and say which: ``web1/run-1a2b3c4d5e6f7081``."""
    place = call.place(call.args.app)
    call.site.existing(place.app)
    node = await reached(call, place)
    _, err = call.io.streams()
    names = Lines(lambda name: call.io.write(f"{node.name}/{name}"))
    return await attached(call, node, place, {"verb": "files", "timeout": DAY}, names.received, err)


async def reached(call: Call, place: Place, name: str = "") -> Node:
    """The first of the nodes that can be reached, or that one of them which has the name. Raises Refused if there is none."""
    problems = []
    for node in call.site.nodes_of(place):
        if name in ("", node.name):
            if (problem := await node.reach()) is None:
                found: Node = node
                return found
            problems.append(f"{node.name}: {problem}")
    raise Refused("no node can be reached; look at: nodes", *problems)


async def attached(
    call: Call,
    node: Node,
    place: Place,
    request: Mapping[str, Any],
    out: Callable[[bytes], None],
    err: Callable[[bytes], None],
) -> int:
    """Let whoever typed the command talk to what `node` becomes; returns its exit status."""
    command = OneOff(call.site.reactor, {"app": call.site.key(place), **request}, out, err)
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
        "run:files",
        "hold files for a run of a command, a tar archive on standard input; see gitdeploy run --remote",
        app,
        send,
    ),
    CommandSpec(
        "shell", "a Python with the app's modules and environment, on one of its nodes", shell_arguments, shell
    ),
)
