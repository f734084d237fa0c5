"""What a newcomer does: push, look, push again, go back."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from .session import PYTHON, App, Server, hello

SHOW = """\
import json, os, sys
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"environ": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "pid": os.getpid()}).encode()]
"""


def test_a_first_push_is_live(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    push = shop.push().ok()
    assert shop.says() == "one"
    assert shop.live() == commit
    assert "-----> Live: v1" in push.err
    assert f"http://{shop.name}.localhost:{shop.server.http_port}/" in push.err
