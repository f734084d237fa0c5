"""The process types of an application, as `processes:` and `command:` of app.yaml name them: each is a command without a shell."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from buildless.values import quoted

WEB = "web"
"""The process type that answers requests for the application itself."""

MOST = 20
"""So many workers of a type, and no more, on a node."""

LONGEST = 30
"""Characters of a process's path: a socket is called after it, whose path is short (unix(7))."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}(?<!-)")
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9_~-]*(?:\.[A-Za-z0-9_~-]+)*"
_PATH = re.compile(rf"/{_SEGMENT}(?:/{_SEGMENT}){{0,2}}")
_VARIABLE = re.compile(r"\$(?:\{(PORT|SOCKET)\}|(PORT|SOCKET)\b)")


@dataclass(frozen=True)
class Process:
    """A process type: the words of its command; the URL path that it answers below, or how many of it work on a node."""

    run: Tuple[str, ...]
    path: Optional[str] = None
    count: int = 1

    @property
    def place(self) -> Optional[str]:
        """Where a release has its socket, without ``.sock``: ``at/chat`` for ``/chat``; None for a worker.

        >>> Process(("bin/api",), "/api/v1").place
        'at/api,v1'
        """
        return f"at/{self.path[1:].replace('/', ',')}" if self.path else None


def process_name(text: str) -> str:
    """The name of a process type. Raises ValueError."""
    if text == WEB:
        raise ValueError("web is the application itself, which `platform` and `app` describe; write another name")
    if not _NAME.fullmatch(text):
        advice = "write small letters, digits and -, at most 20, such as worker"
        raise ValueError(f"{quoted(text)} is no name of a process type; {advice}")
    return text


def words(text: str) -> Tuple[str, ...]:
    """The words of a command. Raises ValueError.

    >>> words("celery -A 'shop tasks' worker")
    ('celery', '-A', 'shop tasks', 'worker')
    """
    try:
        found = tuple(shlex.split(text))
    except ValueError:
        raise ValueError(f"{quoted(text)} ends inside a quotation or after a backslash; close it") from None
    if not found or not found[0]:
        raise ValueError(
            "the command is empty; write a program with its arguments, such as bin/worker or node server.js"
        )
    if found[0].startswith(("/", "~", "-")) or ".." in found[0].split("/"):
        advice = "write a file of the tree, such as bin/worker, or a program's name alone, such as celery"
        raise ValueError(f"{quoted(found[0])} is no program of the tree, and none by its name; {advice}")
    return found


def url_place(text: str) -> str:
    """The URL path that a process answers below. Raises ValueError."""
    path = text.rstrip("/")
    if not path:
        raise ValueError("/ is all of the site; for that write `platform: command` and `command:`")
    if not _PATH.fullmatch(path) or len(path) > LONGEST:
        advice = f"write one to three parts of letters, digits and . _ ~ -, at most {LONGEST} characters, such as /chat"
        raise ValueError(f"{quoted(text)} is no URL path of a process; {advice}")
    return path


def told(run: Sequence[str], variables: Mapping[str, str]) -> Tuple[str, ...]:
    """The words of a command with what ``$PORT`` and ``$SOCKET`` stand for; nothing else is replaced.

    >>> told(["serve", "--port=$PORT", "$HOME"], {"PORT": "16000", "SOCKET": "/tmp/x"})
    ('serve', '--port=16000', '$HOME')
    """
    return tuple(_VARIABLE.sub(lambda match: variables.get(match[1] or match[2], match[0]), word) for word in run)
