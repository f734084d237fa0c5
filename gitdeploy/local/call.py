"""A command of this package as its module sees it: what was typed, the server's files, and the means to act."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..config import Config
from ..home import Home
from ..nodes.fleet import Fleet, Logins
from ..runner import Runner
from ..ssh.commands.call import Parser, columns
from .terminal import Terminal


@dataclass(frozen=True)
class LocalCall:
    """`home` is the server's; `fleet` is what it knows of machines, `logins` are the keys to them."""

    args: argparse.Namespace
    terminal: Terminal
    home: Home
    config: Config
    fleet: Fleet
    logins: Logins
    reactor: Any
    runner: Runner

    def say(self, line: str) -> None:
        self.terminal.say(line)

    def table(self, rows: Sequence[Sequence[object]], head: Sequence[str]) -> None:
        for line in columns(rows, head):
            self.terminal.say(line)

    def json(self, value: object) -> None:
        self.terminal.say(json.dumps(value, indent=1))


C = TypeVar("C")


@dataclass(frozen=True)
class Spec(Generic[C]):
    """A command: its name, a line about it, how its arguments are declared, and what it does (returns the exit status)."""

    name: str
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[C], Coroutine[Any, Any, int]]

    def parser(self) -> Parser:
        parser = Parser(self.name, self.summary)
        self.arguments(parser)
        return parser


@dataclass(frozen=True)
class LocalSpec(Spec[LocalCall]):
    """One that `installs` changes this machine, and makes the home itself when it has looked whether it may; it is root's.

    One that `makes` has the home made if there is none.
    """

    installs: bool = False
    makes: bool = False
