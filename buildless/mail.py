"""Mail for an application: the addresses that it takes, each with the command that gets a message on its standard input."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterable, Optional

from buildless.lifecycle import CommandLine, command_line
from buildless.values import hostname, quoted

TIMEOUT = 300.0  # seconds that a command may take, unless another time is said
LONGEST = 3600.0
"""Seconds; a command that takes longer than that is one for a worker."""

LATER = 75
"""The exit status of a command that wants a message again later, EX_TEMPFAIL of sysexits.h. 0 is done, all others are a refusal."""

UNKNOWN = 67
"""EX_NOUSER: nobody has this address."""

_LOCAL = re.compile(r"[a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*", re.ASCII)


@dataclass(frozen=True)
class Mailbox:
    """What takes the messages to an address, or to all that a pattern stands for; ended after `timeout` seconds.

    `line` is where app.yaml says so, for messages about it.
    """

    to: str
    run: CommandLine
    timeout: float = TIMEOUT
    line: int = field(default=1, compare=False, repr=False)


def pattern(text: str) -> str:
    """An address in small letters, or a pattern: a ``*`` before the ``@`` stands for anything. Raises ValueError.

    >>> pattern("Tickets@Shop.example.com"), pattern("*@shop.example.com"), pattern("ticket-*@shop.example.com")
    ('tickets@shop.example.com', '*@shop.example.com', 'ticket-*@shop.example.com')
    """
    local, at, domain = text.lower().rpartition("@")
    if not at or not local:
        raise ValueError(f"{quoted(text)} is no address; write one such as tickets@shop.example.com")
    if local.count("*") > 1 or not _LOCAL.fullmatch(local.replace("*", "x")):
        advice = "write letters, digits and . _ + -, and at most one *, such as ticket-*"
        raise ValueError(f"{quoted(text)}: {quoted(local)} is no name before the @; {advice}")
    return f"{local}@{hostname(domain)}"


def receiver(text: str) -> CommandLine:
    """The words of a command that reads a message: a file of the tree or a function. Raises ValueError."""
    if text.startswith("/"):
        raise ValueError(f"{quoted(text)} is a URL path, which cannot read a message; write a file or module:function")
    return command_line(text)


def expression(to: str) -> str:
    """A regular expression that all addresses of a pattern match, and no others; Python's and POSIX's alike.

    >>> expression("ticket-*@shop.example.com")
    '^ticket-.*@shop[.]example[.]com$'
    """
    return f"^{to.replace('.', '[.]').replace('+', '[+]').replace('*', '.*')}$"


def takes(to: str, address: str) -> bool:
    """Whether a pattern stands for an address.

    >>> takes("ticket-*@shop.example.com", "Ticket-7@shop.example.com"), takes("a.b@example.com", "axb@example.com")
    (True, False)
    """
    return re.match(expression(to), address.lower()) is not None


def both(one: str, other: str) -> bool:
    """Whether there is an address that two patterns both stand for.

    >>> both("a*@example.com", "*z@example.com"), both("a*@example.com", "b*@example.com"), both("*@a.com", "*@b.com")
    (True, False, False)
    >>> both("tickets@example.com", "t*@example.com"), both("ab@example.com", "ab*b@example.com")
    (True, False)
    """
    if "*" not in one or "*" not in other:
        return takes(one, other) or takes(other, one)
    (begin, end), (first, last) = one.split("*"), other.split("*")
    return (begin.startswith(first) or first.startswith(begin)) and (end.endswith(last) or last.endswith(end))


def find(mailboxes: Iterable[Mailbox], address: str) -> Optional[Mailbox]:
    """The first that takes messages to an address."""
    return next((one for one in mailboxes if takes(one.to, address)), None)
