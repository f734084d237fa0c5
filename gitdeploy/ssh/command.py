"""The string of an ssh exec request becomes a command with its arguments, and no shell ever sees it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from ..errors import BadName
from ..names import quoted

MAX_BYTES = 4096
"""The longest command that is taken; git's own are a path long."""


@dataclass(frozen=True)
class Command:
    """What somebody wants done: ``git-receive-pack`` with ``("/staging/shop.git",)``. Whether there is such a command is open."""

    name: str
    args: tuple[str, ...] = ()


def parse(command: bytes) -> Command:
    """Split the string of an exec request (RFC 4254 section 6.5) into words as a POSIX shell would, but expand nothing.

    Git quotes the repository in its own way (sq_quote_buf in its quote.c): ``'it'\\''s'`` and ``'hey'\\!``; both are shell words.
    ``git receive-pack`` is ``git-receive-pack``, as it is for git-shell(1). Raises BadName with what to write instead.
    """
    if len(command) > MAX_BYTES:
        raise BadName(f"the command has {len(command)} bytes; write at most {MAX_BYTES}")
    try:
        text = command.decode()
    except UnicodeDecodeError:
        raise BadName(
            f"the command {quoted(command.decode(errors='backslashreplace'))} is not UTF-8; type it anew"
        ) from None
    if not text.isprintable():
        raise BadName(
            f"the command {quoted(text)} has characters that do not print; write it in one line, without them"
        )
    try:
        words = shlex.split(text)
    except ValueError:
        raise BadName(f"the command {quoted(text)} ends inside a quotation or after a backslash; close it") from None
    if not words or not words[0]:
        raise BadName("there is no command; write help to see what there is")
    if words[0] == "git" and len(words) > 1:
        words[:2] = [f"git-{words[1]}"]
    return Command(words[0], tuple(words[1:]))
