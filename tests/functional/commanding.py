"""An app for commands to be about, and the two ways in which one is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .session import PYTHON, App, Done, Server, hello

LOUD = """\
import sys
print("the shop is open")
def application(environ, start_response):
    print("somebody asks for", environ["PATH_INFO"], file=sys.stderr)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"loud"]
"""


@pytest.fixture(scope="module")
def shop(server: Server) -> App:
    """An app with two releases, and one in staging."""
    app = server.app("shop")
    app.commit("First page", hello("one"))
    app.push().ok()
    app.commit("Second page", hello("two"))
    app.push().ok()
    app.push("staging", "master").ok()
    return app


@pytest.fixture(params=["ssh", "local"])
def command(request: pytest.FixtureRequest, server: Server) -> Callable[..., Done]:
    """The same command, both ways."""
    return server.ssh if request.param == "ssh" else server.gitdeploy


Command = Callable[..., Done]


def loud(server: Server) -> App:
    """The app that writes, made when it is first asked for."""
    if (server.user / "loud").exists():
        app = App.__new__(App)
        app.server, app.name, app.directory = server, "loud", server.user / "loud"
        return app
    app = server.app("loud")
    app.commit("Loud", {"app.yaml": PYTHON, "hello.py": LOUD})
    app.push().ok()
    return app
