"""``run``, ``shell``, ``cron`` and ``test``: this process becomes one of the application, terminal and all.

With ``--remote`` the first two are those of a server (remote.py).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from ..errors import BadName, Refused
from ..names import quoted
from ..runner import Command, become
from .call import DevelopCall, DevelopSpec
from .development import Development, split
from .remote import run_there, shell_there


def run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.prefix_chars = ""  # options are the command's
    parser.usage = "%(prog)s [--remote REMOTE] [DIR] COMMAND ..."
    parser.add_argument("words", metavar="COMMAND", nargs=argparse.PARSER)


async def run(call: DevelopCall) -> int:
    words = call.args.words
    if words[0].startswith("--remote="):
        words = ["--remote", words[0].partition("=")[2], *words[1:]]
    if words[0] != "--remote":
        directory, words = split(words, call.directory)
        enter(Development.find(directory, call.environ), words)
    if len(words) < 3:
        raise BadName("write a remote and a command, such as: gitdeploy run --remote deploy bin/import.py")
    return await run_there(call, words[1], words[2:])


def enter(development: Development, words: list[str]) -> NoReturn:
    command = development.command(words)
    development.prepare()
    become(command)


def shell_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--remote", metavar="REMOTE")
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, default=Path())


async def shell(call: DevelopCall) -> int:
    """Python's for an application in Python, with its modules; else the person's own, with its variables."""
    if call.args.remote is not None:
        await shell_there(call, call.args.remote, call.directory / call.args.directory)
    development = Development.find(call.directory / call.args.directory, call.environ)
    development.prepare()
    if "python" in development.description.platform:
        become(development.module("buildless.console"))
    own = Command((call.environ.get("SHELL") or "/bin/sh",), development.injected(), str(development.top))
    call.say(f"{own.argv[0]}, in the environment of {development.name}; its end is: exit")
    become(own)


def test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.prefix_chars = ""
    parser.usage = "%(prog)s [DIR] [ARGUMENT ...]"
    parser.add_argument("words", metavar="ARGUMENT", nargs="*", default=[])


async def test(call: DevelopCall) -> int:
    directory, words = split(call.args.words, call.directory)
    development = Development.find(directory, call.environ)
    if development.description.unit_test:
        enter(development, [*development.description.unit_test, *words])
    development.prepare()
    become(development.module("buildless.suite", words))


def cron_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [DIR] NAME"
    parser.add_argument("words", metavar="NAME", nargs="+")


async def cron(call: DevelopCall) -> int:
    """Now, whatever its time; its `timeout` is for when nobody watches."""
    directory, words = split(call.args.words, call.directory)
    development = Development.find(directory, call.environ)
    jobs = development.description.cron
    if len(words) != 1 or words[0] not in jobs:
        there = f"write one of {', '.join(jobs)}" if jobs else "name one there"
        raise Refused(f"there is no job {quoted(' '.join(words))} in app.yaml; {there}")
    enter(development, list(jobs[words[0]].run))


SPECS = (
    DevelopSpec("run", "run a command of the application in its environment", run_arguments, run),
    DevelopSpec("shell", "a Python that has the application's modules and environment", shell_arguments, shell),
    DevelopSpec("cron", "run a job of the application in its environment, now", cron_arguments, cron),
    DevelopSpec("test", "run the tests of the application in its environment", test_arguments, test),
)
