"""A command as its module sees it: who typed it, what may be asked of the server, and how to answer."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from ...errors import BadName
from ...git.configvars import ConfigVars
from ...names import Place
from ...text import plain
from ..keys import Users
from ..session import CommandIO

REPEATED = re.compile(r"(\S+) \[\1 \.\.\.\]")
"""How argparse shows an argument that may be there several times."""


class HowTo(Exception):
    """Somebody asks how a command is written (``--help``), and the text says so: that is no error."""


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of printing and ending the process."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, add_help=False)
        self.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """What was typed. Raises BadName, or HowTo; where all options are another program's, too, if ``--help`` comes first."""
        if words and words[0] in ("-h", "--help"):
            self.print_help()
        return self.parse_args(words)

    def written(self) -> str:
        """How the command is written: ``rollback [ENVIRONMENT/]APP [vN]``."""
        return REPEATED.sub(r"\1...", " ".join(self.format_usage().split()[1:]))

    def print_help(self, file: object = None) -> NoReturn:
        raise HowTo(f"usage: {self.written()}\n{self.description}")

    def error(self, message: str) -> NoReturn:
        raise BadName(f"{message}; usage: {self.written()}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise BadName(message or "")


Change = tuple[ConfigVars, ConfigVars]
"""Config vars as they are, and as they are to be once what is deployed with them is live."""


class Again(Protocol):
    """Deploys without a push, and shows how that goes; returns the release."""

    def __call__(
        self,
        place: Place,
        user: str,
        source: str,
        commit: str | None,
        show: Callable[[bytes], None],
        change: Change | None = None,
    ) -> Awaitable[str]: ...


@dataclass(frozen=True)
class Call:
    """`site` is the server's (gitdeploy.deploy.site.Site); `again` deploys without a push; `place` checks an app's name
    and `may` whether the user has to do with it."""

    user: str
    args: argparse.Namespace
    io: CommandIO
    site: Any
    users: Users
    place: Callable[[str], Place]
    may: Callable[[Place], bool]
    again: Again | None
    destroy: Callable[[Place, str, Callable[[bytes], None]], Awaitable[None]] | None = None

    def administers(self) -> bool:
        """Whether the user may change what is everybody's: an admin of gitdeploy.yaml, or somebody on the server's machine.

        Where it names none everybody may, but not where it says who may push: that would be no rule any more.
        """
        config = self.site.config
        open_to_all = config.admins is None and all(one.users is None for one in config.environments.values())
        return not self.io.remote or open_to_all or self.user in (config.admins or ())

    def table(self, rows: Sequence[Sequence[object]], head: Sequence[str]) -> None:
        for line in columns(rows, head):
            self.io.write(line)

    def json(self, value: object) -> None:
        self.io.write(json.dumps(value, indent=1))


def columns(rows: Sequence[Sequence[object]], head: Sequence[str]) -> list[str]:
    """Lines in columns; the last one is not padded."""
    texts = [list(head), *([" ".join(plain(str(cell)).split("\n")) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]


@dataclass(frozen=True)
class CommandSpec:
    """A command: its name, a line about it, how its arguments are declared, and what it does (returns the exit status).

    `offline` says that it needs no running server, `makes` that it makes the server's home then if there is none,
    `reads` whether it takes text on standard input, `takes` whether bytes.
    """

    name: str
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Call], Coroutine[Any, Any, int]]
    offline: bool = False
    makes: bool = False
    reads: Callable[[argparse.Namespace], bool] = lambda args: False
    takes: Callable[[argparse.Namespace], bool] = lambda args: False

    def parser(self) -> Parser:
        parser = Parser(self.name, self.summary)
        self.arguments(parser)
        return parser


def app(parser: argparse.ArgumentParser) -> None:
    """The argument that most commands have."""
    parser.add_argument("app", metavar="[ENVIRONMENT/]APP")


def as_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")
