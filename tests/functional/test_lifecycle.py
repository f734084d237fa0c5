"""Commands that an application names for moments of its life: when they are run, by which version, and what a failure means."""

from __future__ import annotations

from pathlib import Path

import pytest

from .session import PYTHON, App, Server, eventually, hello

NOTE = """\
import os, sys
def {name}(*words):
    with open("{log}", "a") as file:
        print("{name}", os.environ["APP_RELEASE"], *words, file=file)
    print("{name} says", *words)
    if os.path.exists("{log}.fail-{name}"):
        print("{name} cannot", file=sys.stderr)
        raise RuntimeError("no luck with {name}")
"""
MOMENTS = ("install", "before_update", "update", "check_environment", "health_check")


@pytest.fixture
def shop(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> App:
    """An app, not pushed yet, whose commands write down that they were run, and fail where a file says so."""
    app = server.app("a" + str(abs(hash(request.node.name)) % 10**8))
    log = tmp_path / "log"
    app.commit(
        "First page",
        {
            **hello("one"),
            "app.yaml": PYTHON + "".join(f"{name}: life:{name} now\n" for name in MOMENTS),
            "life.py": "".join(NOTE.format(name=name, log=log) for name in MOMENTS),
        },
    )
    return app


def told(tmp_path: Path) -> list[str]:
    """What was run since this was asked last."""
    log = tmp_path / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return lines


def test_what_is_run_when(shop: App, tmp_path: Path) -> None:
    push = shop.push().ok()
    assert told(tmp_path) == ["check_environment v1 now", "install v1 now", "health_check v1 now"]
    assert "-----> Installing" in push.err
    assert "embedded: install says now" in push.err
    shop.commit("Second page", hello("two") | {"app.yaml": (shop.directory / "app.yaml").read_text()})
    push = shop.push().ok()
    assert told(tmp_path) == [
        "check_environment v2 now",
        "before_update v1 now",
        "update v2 now",
        "health_check v2 now",
    ]
    assert "-----> Updating" in push.err
    assert shop.says() == "two"
    shop.server.ssh("redeploy", shop.name).ok()
    assert told(tmp_path) == ["check_environment v3 now", "health_check v3 now"]
    shop.server.ssh("config:set", shop.name, "A=1").ok()
    assert told(tmp_path) == ["check_environment v4 now", "health_check v4 now"]
    shop.server.ssh("rollback", shop.name).ok()
    assert told(tmp_path)[1:3] == ["before_update v4 now", "update v5 now"]
    shop.commit("To be looked at")
    shop.push("deploy", "master:prepare").ok()
    assert told(tmp_path) == ["check_environment v6 now", "health_check v6 now"]


def test_what_is_live_gets_ready_as_it_says_itself(shop: App, tmp_path: Path) -> None:
    yaml = (shop.directory / "app.yaml").read_text()
    without = yaml.replace("before_update: life:before_update now\n", "")
    shop.commit("It does nothing", {"app.yaml": without})
    shop.push().ok()
    shop.commit(
        "A program for it",
        {"app.yaml": without + "before_update: new:ready\n", "new.py": "def ready(): print('Ready')\n"},
    )
    assert "Before the update" not in shop.push().ok().err
    shop.commit("Nothing again", {"app.yaml": without})
    assert "embedded: Ready" in shop.push().ok().err


@pytest.mark.parametrize("moment", ["before_update", "update", "check_environment", "health_check"])
def test_one_that_fails_refuses_the_push(shop: App, tmp_path: Path, moment: str) -> None:
    shop.push().ok()
    first = shop.live()
    (tmp_path / f"log.fail-{moment}").touch()
    shop.commit("Second page", {"hello.py": hello("two")["hello.py"]})
    push = shop.push()
    assert push.refused(f"{moment}: life:{moment} now ended with exit code 1; see above")
    assert f"RuntimeError: no luck with {moment}" in push.err
    assert f"{moment} cannot" in push.err
    assert (shop.says(), shop.live()) == ("one", first)
    had_begun = "the update command had begun" in push.err
    assert had_begun is (moment in ("update", "health_check"))
    (tmp_path / f"log.fail-{moment}").unlink()
    shop.push().ok()
    assert shop.says() == "two"


def test_a_first_push_that_fails_installs_again(shop: App, tmp_path: Path) -> None:
    (tmp_path / "log.fail-health_check").touch()
    assert shop.push().refused("health_check")
    (tmp_path / "log.fail-health_check").unlink()
    shop.push().ok()
    assert [line.split()[0] for line in told(tmp_path)] == [
        "check_environment", "install", "health_check", "check_environment", "install", "health_check"
    ]  # fmt: skip


def test_what_is_named_must_be_in_the_tree(server: Server) -> None:
    app = server.app("named")
    yaml = PYTHON + "update: manage.py migrate\ninstall: setup\nhealth_check: tool\nbefore_update: lib\n"
    app.commit("Commands", {**hello("one"), "app.yaml": yaml, "tool": "x\n", "lib/a": ""})
    push = app.push()
    assert push.refused("app.yaml:3: update: there is no file manage.py in the tree")
    for line in (
        "app.yaml:4: install: there is no file setup in the tree",
        "app.yaml:5: health_check: tool is no program; make it one: chmod +x tool",
        "app.yaml:6: before_update: lib is a directory; write a program in it",
    ):
        assert line in push.err


def test_a_pusher_who_goes_away_ends_the_command(shop: App, tmp_path: Path) -> None:
    shop.commit("Waits", {"life.py": "import time\ndef install(*words):\n    print('waiting')\n    time.sleep(600)\n"})
    shop.commit("Waits", {"app.yaml": PYTHON + "install: life:install\n"})
    push = shop.pushing()
    push.until("waiting")
    push.interrupt()
    push.wait()
    version = f"versions/{shop.git('rev-parse', 'HEAD')}"
    eventually("the command has ended", lambda: not any(version in line for line in shop.server.processes().values()))
    assert shop.name not in shop.server.ssh("apps").ok().out
