"""A command as its module sees it: who typed it, what may be asked of the server, and how to answer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ...deploy.report import plain
from ...errors import BadName
from ...names import Place
from ..keys import Users
from ..session import CommandIO


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise BadName(f"{message}; usage: {' '.join(self.format_usage().split()[1:])}")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise BadName(message or "")


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
    again: Callable[[Place, str, str, str | None, Callable[[bytes], None]], Awaitable[str]] | None

    def table(self, rows: Sequence[Sequence[object]], head: Sequence[str]) -> None:
        """Write columns; the last one is not padded."""
        texts = [list(head), *([" ".join(plain(str(cell)).split("\n")) for cell in row] for row in rows)]
        widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
        for row in texts:
            self.io.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def json(self, value: object) -> None:
        self.io.write(json.dumps(value, indent=1))


@dataclass(frozen=True)
class CommandSpec:
    """A command: its name, a line about it, how its arguments are declared, and what it does (returns the exit status).

    `offline` says that it needs no running server.
    """

    name: str
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Call], Coroutine[Any, Any, int]]
    offline: bool = False

    def parser(self, prog: str = "") -> Parser:
        parser = Parser(prog=prog or self.name, description=self.summary, add_help=False)
        self.arguments(parser)
        return parser


def app(parser: argparse.ArgumentParser) -> None:
    """The argument that most commands have."""
    parser.add_argument("app", metavar="[ENVIRONMENT/]APP")


def as_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")
