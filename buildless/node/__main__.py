"""``python3 -m buildless.node --root DIR``: answers requests until its standard input ends.

A request is one line of JSON, ``{"id": 1, "verb": "survey", ...}``. The answer is one line, ``{"id": 1, "ok": {...}}`` or
``{"id": 1, "error": "what is wrong", "details": ["...", ...]}``.
The process belongs to one deploy: it ends with it, so nothing here is kept from one deploy to the next.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import Any, Dict

from buildless.errors import BuildlessError
from buildless.node.layout import Layout
from buildless.node.verbs import VERBS, NodeError


def answer(layout: Layout, request: Dict[str, Any]) -> Dict[str, Any]:
    """Run the verb that `request` asks for; every failure is an answer, because the server is the one who can tell the pusher."""
    try:
        verb = VERBS[request.pop("verb")]
        return {"ok": verb(layout, **request)}
    except NodeError as error:
        return {"error": str(error), "details": list(error.details)}
    except (BuildlessError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}", "details": []}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "details": traceback.format_exc().splitlines()}


def main() -> None:
    """Read requests from standard input and answer each on standard output."""
    parser = argparse.ArgumentParser(prog="buildless.node")
    parser.add_argument("--root", type=Path, default=Path("/"), help="the directory that stands for / (default: /)")
    layout = Layout(parser.parse_args().root)
    for line in sys.stdin:
        request = json.loads(line)
        number = request.pop("id")
        sys.stdout.write(json.dumps({"id": number, **answer(layout, request)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
