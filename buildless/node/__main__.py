"""``python3 -m buildless.node --root DIR``: answers requests until its standard input ends.

A request is one line of JSON, ``{"id": 1, "verb": "survey", ...}``. The answer is one line, ``{"id": 1, "ok": {...}}`` or
``{"id": 1, "error": "what is wrong", "details": ["...", ...]}``. Before it may come lines ``{"id": 1, "say": "..."}``. After the
answer to a verb that becomes a program nothing more is answered (see stream.py).
The process belongs to one deploy: it ends with it, so nothing here is kept from one deploy to the next.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import traceback
from contextlib import nullcontext
from inspect import signature
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Mapping

from buildless.errors import BuildlessError, NodeError
from buildless.node import facts
from buildless.node.layout import Layout
from buildless.node.services import SERVICE_QUESTIONS
from buildless.node.stream import Stream
from buildless.node.turn import end_with_asker, latest, turn
from buildless.node.verbs import VERBS, Verb

QUESTIONS = (
    "state",
    "survey",
    "examine",
    "adopt",
    "propose",
    "check",
    "output",
    "processes",
    "steady",
    "logs",
    "follow",
    "run",
    "files",
    "maintenance",
    *SERVICE_QUESTIONS,
)
"""The verbs about an app that need not be alone: they change nothing of it, as far as we know, or one mark that is theirs alone."""

LASTING = ("follow", "run", "files")
"""The verbs that go on for as long as somebody wants."""

FULL = (errno.ENOSPC, errno.EDQUOT)


def answer(verbs: Mapping[str, Verb], layout: Layout, request: Dict[str, Any], say: Callable[[str], None]) -> Any:
    """Run the verb that `request` asks for; every failure is an answer, because the server is the one who can tell the pusher."""
    try:
        name = request.pop("verb")
        if name not in verbs:
            raise NodeError(
                f"the node was set up by another version, which cannot do {name}; run: gitdeploy setup-node NODE"
            )
        try:
            signature(verbs[name]).bind(layout, **request)
        except TypeError as error:
            raise NodeError(
                f"the node was set up by another version, which does {name} otherwise ({error}); run: gitdeploy setup-node NODE"
            ) from error
        alone = name not in QUESTIONS and "app" in request
        with turn(layout.turns, layout.app(request["app"]).name) if alone else nullcontext():
            done = verbs[name](layout, **request)
            return {"ok": done if isinstance(done, (dict, Stream)) else said(done, say)}
    except NodeError as error:
        return {"error": str(error), "details": list(error.details)}
    except OSError as error:
        if error.errno in FULL:
            return {"error": f"its disk is full ({error}); {facts.ROOM}", "details": []}
        return {"error": f"{type(error).__name__}: {error}", "details": []}
    except BuildlessError as error:
        return {"error": f"{type(error).__name__}: {error}", "details": []}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "details": traceback.format_exc().splitlines()}


def said(lines: Generator[str, None, Dict[str, Any]], say: Callable[[str], None]) -> Dict[str, Any]:
    """Pass on each line as it comes; returns what comes at the end."""
    while True:
        try:
            say(next(lines))
        except StopIteration as end:
            return dict(end.value)


def serve(
    verbs: Mapping[str, Verb],
    layout: Layout,
    connection: int = 0,
    begins: Callable[[], object] = lambda: None,
    lasts: Callable[[], object] = lambda: None,
) -> None:
    """Read requests from standard input and answer each on standard output.

    `connection` says when the one began that this process was started through (turn.began): what comes through an earlier one than
    the last is refused; 0 where nothing comes late. `begins` is called when the first is there, `lasts` before one of `LASTING`.
    """
    for count, line in enumerate(sys.stdin):
        if not count:
            begins()
        request = json.loads(line)
        number = request.pop("id")

        def write(message: Mapping[str, Any], number: int = number) -> None:
            sys.stdout.write(json.dumps({"id": number, **message}) + "\n")
            sys.stdout.flush()

        if request.get("verb") in LASTING:
            lasts()
        if connection and not latest(layout.turns.with_name("connection"), connection):
            write({"error": "the server has connected anew since this was asked; push again", "details": []})
            continue
        found = answer(verbs, layout, request, lambda text: write({"say": text}))
        if isinstance(found.get("ok"), Stream):
            write({"ok": {}})
            os._exit(found["ok"].run() & 0xFF)  # its output may be gone, and a thread waits for its input
        write(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="buildless.node")
    parser.add_argument("--root", type=Path, default=Path("/"), help="the directory that stands for / (default: /)")
    end_with_asker()
    serve(VERBS, Layout(parser.parse_args().root))


if __name__ == "__main__":
    main()
