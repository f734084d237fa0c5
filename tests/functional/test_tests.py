"""An application's own tests before a switch, where the environment says that they must pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .session import PYTHON, SMALL, App, Server, eventually, hello

TESTED = "environments: {production: {unit_test: yes}, staging: }\n"
SHOP = (
    PYTHON
    + "services: files\nenv: {FRUIT: plum}\nunit_test: checks:run all\nupdate: checks:update\ninstall: checks:update\n"
)
CHECKS = """\
import os

def run(*words):
    seen = {name: os.environ.get(name) for name in ("APP_ENVIRONMENT", "FRUIT", "TOKEN", "CONFIG_FILES")}
    print("tests of", os.environ["APP_RELEASE"], *words, seen)
    assert %s, "it does not add up"

def update():
    print("the update sees", os.environ["APP_ENVIRONMENT"], os.environ["CONFIG_FILES"])
"""


@pytest.fixture(scope="module")
def server(servers: Callable[..., Server]) -> Server:
    return servers(SMALL + TESTED)


def files(text: str, well: bool = True) -> dict[str, str]:
    return {**hello(text), "app.yaml": SHOP, "checks.py": CHECKS % well}


def test_they_run_before_the_update_and_know_of_no_data(shop: App) -> None:
    shop.commit("First page", files("one"))
    push = shop.push().ok()
    seen = "{'APP_ENVIRONMENT': 'test', 'FRUIT': 'plum', 'TOKEN': None, 'CONFIG_FILES': None}"
    assert f"embedded: tests of v1 all {seen}" in push.err
    assert push.err.index("-----> Running its tests") < push.err.index("the update sees production /")
    shop.server.ssh("config:set", shop.name, "TOKEN=quince").ok()
    shop.commit("Second page", files("two"))
    assert f"tests of v3 all {seen}" in shop.push().ok().err
    assert shop.says() == "two"


def test_one_that_fails_refuses_the_push_before_anything_is_done(shop: App) -> None:
    shop.commit("First page", files("one"))
    shop.push().ok()
    first = shop.live()
    shop.commit("Second page", files("two", False))
    push = shop.push()
    assert push.refused("unit_test: checks:run all ended with exit code 1; see above")
    assert "AssertionError: it does not add up" in push.err
    assert "the update sees" not in push.err and "had begun" not in push.err
    assert (shop.says(), shop.live()) == ("one", first)
    assert shop.push("deploy", "master:prepare").refused("unit_test")
    assert "tests of" not in shop.push("staging", "master").ok().err


def test_what_has_been_live_is_not_tested_again(shop: App) -> None:
    for text in ("one", "two"):
        shop.commit(text, files(text))
        assert "tests of" in shop.push().ok().err
    for command in (("redeploy",), ("rollback",), ("config:set", "A=1")):
        done = shop.server.ssh(command[0], shop.name, *command[1:]).ok()
        assert "Running its tests" not in done.text, done.text
    assert shop.says() == "one"


def test_a_pusher_who_goes_away_ends_them(shop: App) -> None:
    shop.commit(
        "Waits",
        {**files("one"), "checks.py": "import time\ndef run(word):\n    print('testing')\n    time.sleep(600)\n"},
    )
    shop.commit("Waits", {"app.yaml": PYTHON + "unit_test: checks:run x\n"})
    push = shop.pushing()
    push.until("testing")
    push.interrupt()
    push.wait()
    version = f"versions/{shop.git('rev-parse', 'HEAD')}"
    eventually("they have ended", lambda: not any(version in line for line in shop.server.processes().values()))


def test_their_time_is_limited(shop: App) -> None:
    shop.commit("Waits", {**files("one"), "checks.py": "import time\ndef run(word):\n    time.sleep(600)\n"})
    shop.commit("Waits", {"app.yaml": PYTHON + "unit_test: checks:run x\n"})
    with shop.server.settings(SMALL + TESTED + "limits: {update: 2s}\n"):
        assert shop.push().refused("unit_test: checks:run x did not end within 2 s; see above")
