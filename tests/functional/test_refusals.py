"""What is refused of a description and an application: the pusher reads why, the ref stays, the old release goes on answering."""

from __future__ import annotations

import re

import pytest

from .refusing import again, refused, shop
from .session import HELLO, PYTHON, SMALL, App, Server, hello

__all__ = ["again", "shop"]

BROKEN_PING = """\
def application(environ, start_response):
    status = "500 Oh" if environ["PATH_INFO"] == "/" else "404 No"
    start_response(status, [("Content-Type", "text/plain")])
    return [b"the till is locked"]
"""

DYING = "import os\nprint('no till here', flush=True)\nos._exit(7)\n"


# The description.


def test_no_description(shop: App) -> None:
    shop.git("rm", "-q", "app.yaml")
    shop.commit("No app.yaml")
    refused(shop, "there is no app.yaml at the top of the tree")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("platform: [python, wsgi\napp: hello:application\n", "app.yaml:2"),
        ("platform: python, wsgi\n\tapp: x:y\n", "app.yaml:2"),
        (PYTHON + "paths: {a: b}\n", "app.yaml:3"),
        (PYTHON + "env: [a, b]\n", "app.yaml:3"),
        (PYTHON + "ping: 3.10\n", "app.yaml:3"),
        (PYTHON + "pingg: /\n", "did you mean ping"),
        ("platform: pyhton, wsgi\napp: hello:application\n", "did you mean python"),
        ("app: hello:application\n", "write `platform: python, wsgi`"),
        ("platform: python, wsgi\n", "write `app: module:object`"),
        (b"platform: \xff\xfe\n", "app.yaml"),
        ("", "app.yaml"),
        ("&a [*a, *a]\n", "app.yaml"),
    ],
    ids=["unclosed", "tab", "map", "list", "number", "key", "platform", "no-platform", "no-app", "bytes", "empty", "alias"],
)  # fmt: skip
def test_a_description_with_mistakes(shop: App, text: str | bytes, reason: str) -> None:
    shop.commit("A mistake", {"app.yaml": text})
    refused(shop, reason)


def test_every_mistake_of_a_description_is_told(shop: App) -> None:
    shop.commit("Mistakes", {"app.yaml": PYTHON + "pingg: /\nenv: 5\npython: 3.10\n"})
    push = refused(shop, 'app.yaml:3: unknown key "pingg"; did you mean ping?')
    assert re.findall(r"^remote:  !     app.yaml:(\d+)", push.err, re.M) == ["3", "4", "5"]
    assert (
        'app.yaml:3: unknown key "pingg"; did you mean ping? (and 2 more))'
        in push.err.partition("[remote rejected]")[2]
    )


def test_a_description_that_is_a_directory(shop: App) -> None:
    shop.git("rm", "-q", "app.yaml")
    shop.commit("A directory", {"app.yaml/inside": "x"})
    refused(shop, "app.yaml")


def test_a_description_that_is_a_link(shop: App) -> None:
    (shop.directory / "app.yaml").unlink()
    (shop.directory / "app.yaml").symlink_to("/etc/passwd")
    shop.commit("A link")
    refused(shop, "app.yaml")


# The application.


def test_an_application_that_does_not_import(shop: App) -> None:
    shop.commit("Plums", {"hello.py": "import plums\n"})
    push = refused(shop, "No module named 'plums'")
    assert "Traceback (most recent call last)" in push.err
    assert 'hello.py", line 1' in push.err
    shown = [line for line in push.err.splitlines() if line.startswith("remote: ") and "'plums'" in line]
    assert [line.removeprefix("remote: ").strip() for line in shown] == [
        "ModuleNotFoundError: No module named 'plums'",
        "!     the application does not start: hello:application cannot be loaded: ModuleNotFoundError: No module named 'plums'; "
        "put it in the tree and its directory in `paths:`, or name the package that has it under `deb:`",
    ]


def test_the_log_says_where_what_was_refused_ends_as_the_next_one_has_its_number(shop: App) -> None:
    shop.commit("Loud", {"hello.py": "print('figs')\nraise ValueError\n"})
    refused(shop, "ValueError")
    lines = shop.server.ssh("logs", shop.name).ok().out.splitlines()
    end = [line for line in lines if " v2 web | " in line][-1]
    assert end.endswith(" v2 web | it was not to be; the next deploy is v2 again")


def test_an_application_without_the_object(shop: App) -> None:
    shop.commit("Another name", {"hello.py": (HELLO % "one").replace("def application", "def app")})
    refused(shop, "application")


def test_an_application_that_dies(shop: App) -> None:
    shop.commit("It dies", {"hello.py": DYING})
    with shop.server.settings(SMALL + "limits: {boot: 5s}\n"):
        push = refused(shop, "start")
    assert "no till here" in push.err


def test_an_application_that_does_not_start_in_time(shop: App) -> None:
    shop.commit("It sleeps", {"hello.py": "import time\nprint('good night', flush=True)\ntime.sleep(600)\n"})
    with shop.server.settings(SMALL + "limits: {boot: 2s}\n"):
        push = refused(shop, "the application did not start within 2 s")
    assert "good night" in push.err


def test_an_application_that_answers_its_check_with_an_error(shop: App) -> None:
    shop.commit("The till is locked", {"hello.py": BROKEN_PING})
    push = refused(shop, "/ answered 500")
    assert "the till is locked" in push.err


def test_an_application_that_answers_its_own_ping_with_an_error(shop: App) -> None:
    shop.commit("No ping", {"hello.py": BROKEN_PING, "app.yaml": PYTHON + "ping: /ping\n"})
    refused(shop, "/ping answered 404; it must be below 400")


def test_an_application_that_raises_at_its_check(shop: App) -> None:
    shop.commit(
        "It raises", {"hello.py": "def application(environ, start_response):\n    raise ValueError('no apples')\n"}
    )
    push = refused(shop, "/ answered 500")
    assert push.err.count("Internal Server Error") == 1 and "<html>" not in push.err
    assert "ValueError: no apples" in push.err


def test_an_application_that_never_answers_its_check(shop: App) -> None:
    shop.commit(
        "It hangs", {"hello.py": "import time\ndef application(environ, start_response):\n    time.sleep(60)\n"}
    )
    with shop.server.settings(SMALL + "limits: {ping: 1s}\n"):
        refused(shop, "/")


def test_output_of_an_application_cannot_command_the_terminal(shop: App) -> None:
    shop.commit("Colours", {"hello.py": "import sys\nsys.exit('\\x1b[31mred\\x1b[0m \\x1b[2Jgone')\n"})
    push = refused(shop, "the application does not start")
    above = [line for line in push.err.splitlines() if "red gone" in line]
    assert above
    assert not any("\x1b[31m" in line or "\x1b[2J" in line for line in above)


# The first push of an app.


def test_a_first_push_that_is_refused_leaves_no_app(server: Server) -> None:
    fresh = server.app("fresh")
    fresh.commit("Plums", {"app.yaml": PYTHON, "hello.py": "import plums\n"})
    with server.unchanged():
        assert fresh.push().refused("No module named 'plums'")
    assert "fresh" not in server.gitdeploy("apps").ok().out
    assert fresh.get().status == 404
    fresh.commit("Without plums", hello("fresh"))
    fresh.push().ok()
    assert fresh.says() == "fresh"
