"""Commands that an application has for moments of its life: before it is updated, when it is looked at, and so on."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterator, Tuple

from buildless.command import FUNCTION_NAME
from buildless.values import quoted, tree_path, url_path

if TYPE_CHECKING:
    from buildless.description import Description

CommandLine = Tuple[str, ...]
"""The words of a command in one of the four forms of `buildless.command`."""

MOMENTS = ("install", "before_update", "before_delete", "check_environment", "health_check", "unit_test")
"""The keys of app.yaml that name a command and nothing else; `update` can say more."""

HELD = "its data are being brought up to date, and what is written now may be lost; run it after that"
"""Why nobody may run a command while an exclusive update lets nobody in."""


@dataclass(frozen=True)
class Update:
    """The command that brings data up to date with the code; an `exclusive` one while no request is answered."""

    run: CommandLine
    exclusive: bool = False


def command_line(text: str) -> CommandLine:
    """The words of a command. Whether what it names is there shows when there is a tree. Raises ValueError.

    >>> command_line("manage.py migrate --noinput")
    ('manage.py', 'migrate', '--noinput')
    >>> command_line("/setup?demo=1"), command_line("shop.tasks:clean all")
    (('/setup?demo=1',), ('shop.tasks:clean', 'all'))
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise ValueError(f"{quoted(text)} ends inside a quotation or after a backslash; close it") from None
    if not words or not words[0]:
        raise ValueError("the command is empty; write a file of the tree, module:function, or a URL path")
    name = words[0]
    if name.startswith("/"):
        url_path(name)
        if len(words) > 1:
            raise ValueError(f"{quoted(name)} is a URL path, which takes no arguments; write them as a query, ?x=1")
    elif not FUNCTION_NAME.fullmatch(name):
        tree_path(name)
    return words


def commands(description: Description) -> Iterator[Tuple[str, CommandLine]]:
    """The keys of app.yaml that name commands, with their commands."""
    if description.update is not None:
        yield "update", description.update.run
    yield from ((key, words) for key in MOMENTS if (words := getattr(description, key)))
    if description.config is not None and description.config.checker:
        yield "config", description.config.checker
    yield from (("cron", job.run) for job in description.cron.values())
    yield from (("mail", mailbox.run) for mailbox in description.mail)


def file_of(words: CommandLine) -> str | None:
    """The file of the tree that a command names; None for a URL path and a function.

    >>> file_of(("./manage.py", "migrate")), file_of(("/setup",)), file_of(("shop:clean",))
    ('manage.py', None, None)
    """
    name = words[0]
    return None if name.startswith("/") or FUNCTION_NAME.fullmatch(name) else tree_path(name)
