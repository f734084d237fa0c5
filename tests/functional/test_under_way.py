"""What happens to pushes that are under way when there are others, or when the pusher goes away."""

from __future__ import annotations

import os
import signal
import time

import pytest

from gitdeploy.nodes.fleet import Fleet, Logins, Machine

from .faulty import Faulty, Keep, faulty, shop
from .session import PYTHON, SMALL, App, Running, eventually, hello, slow

__all__ = ["faulty", "shop"]


# Others.


def test_the_second_of_two_pushes_waits(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-waits"
    shop.commit("Second page", slow("two", gate))
    first = running(shop.pushing())
    first.until("1 file sent")
    second = running(shop.pushing())
    second.until("-----> Waiting for the deploy of alice")
    gate.touch()
    first.wait().ok()
    done = second.wait()
    # Both said that they replace the first page, so the second has lost.
    assert done.status != 0
    assert "which you would replace" in done.err
    assert shop.says() == "two"


def test_a_redeploy_that_waited_for_a_push_is_not_told_to_push(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-redeploy"
    shop.commit("Second page", slow("two", gate))
    first = running(shop.pushing())
    first.until("1 file sent")
    second = running(Running(shop.server.ssh_argv("redeploy", shop.name), shop.server.env, shop.directory))
    second.until("-----> Waiting for the deploy of alice")
    gate.touch()
    first.wait().ok()
    done = second.wait()
    assert done.status == 1
    assert "somebody deployed meanwhile; to deploy that once more: redeploy APP" in done.err
    assert "push" not in done.err


def test_a_config_var_that_is_set_during_a_first_push_is_in_what_is_live(
    faulty: Faulty, shop: App, running: Keep
) -> None:
    gate = shop.directory.parent / "gate-var"
    app = faulty.server.app(f"{shop.name}-var")
    files = slow("x", gate)
    tells = files["hello.py"].replace('b"x"', 'os.environ.get("GREETING", "none").encode()')
    app.commit("First page", {**files, "hello.py": tells})
    push = running(app.pushing())
    push.until("files sent")
    words = faulty.server.ssh_argv("config:set", app.name, "GREETING=welcome")
    setting = running(Running(words, faulty.server.env, app.directory))
    setting.until("waiting for the deploy of alice")
    gate.touch()
    push.wait().ok()
    assert "Live: v2" in setting.wait().ok().text
    assert app.says() == "welcome"


def test_one_that_waited_goes_on_where_the_first_was_refused(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-refused"
    files = slow("x", gate)
    shop.commit("It breaks", {**files, "hello.py": files["hello.py"] + "import plums\n"})
    first = running(shop.pushing())
    first.until("1 file sent")
    third = shop.commit("It is mended", hello("three"))
    second = running(shop.pushing())
    second.until("-----> Waiting for the deploy of alice")
    gate.touch()
    assert first.wait().status != 0
    second.wait().ok()
    assert (shop.says(), shop.live()) == ("three", third)


def test_different_apps_go_side_by_side(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-side"
    shop.commit("Second page", slow("two", gate))
    held = running(shop.pushing())
    held.until("1 file sent")
    other = shop.server.app(f"{shop.name}-other")
    other.commit("First page", hello("other"))
    other.push().ok()
    assert other.says() == "other"
    shop.push("staging", "HEAD~1:refs/heads/master").ok()  # another environment of the same app
    assert held.process.poll() is None
    gate.touch()
    held.wait().ok()
    assert shop.says() == "two"


def test_two_that_want_one_host_name_do_not_both_get_it(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-name"
    wants = {"app.yaml": f"{PYTHON}locations: {shop.name}.example.com\n"}
    shop.commit("Second page", {**slow("two", gate), **wants})
    first = running(shop.pushing())
    first.until("files sent")
    other = shop.server.app(f"{shop.name}-rival")
    other.commit("First page", {**hello("other"), **wants})
    assert other.push().refused(
        f"{shop.name}.example.com is what {shop.name} wants, which is being deployed; push again when that has ended"
    )
    gate.touch()
    first.wait().ok()
    assert other.push().refused(
        f"{shop.name}.example.com belongs to {shop.name}; take it out of the locations in app.yaml"
    )


APART = """\
environments:
  production: {domain: staging.example.com}
  staging: {domain: example.com, nodes: [far]}
"""


def test_where_machines_differ_names_may_be_the_same(shop: App, running: Keep) -> None:
    """The other push comes as far as its own machine, which is not there."""
    server, gate = shop.server, shop.directory.parent / "gate-apart"
    fleet, login = Fleet(server.home / "nodes"), Logins(server.home / "ssh").server
    fleet.save(Machine("far", "127.0.0.1", port=1))
    login.parent.mkdir(exist_ok=True)
    login.touch(0o600)
    with server.settings(SMALL + APART):
        shop.commit("Second page", slow("two", gate))
        first = running(shop.pushing())
        first.until("1 file sent")
        assert shop.push("staging", "HEAD~1:refs/heads/master").refused(
            "it has not been set up; run: gitdeploy setup-node far"
        )
        gate.touch()
        first.wait().ok()
    fleet.remove("far")
    login.unlink()


def test_a_pusher_who_does_not_read_holds_up_nobody(shop: App, running: Keep) -> None:
    loud = "import sys\nfor _ in range(2000): print('x' * 1000)\nsys.exit('enough')\n"
    gate = shop.directory.parent / "gate-loud"
    files = slow("x", gate)
    shop.commit("Loud", {**files, "hello.py": files["hello.py"].partition("def")[0] + loud})
    held = running(shop.pushing())
    held.until("1 file sent")
    held.interrupt(signal.SIGSTOP)
    gate.touch()
    other = shop.server.app(f"{shop.name}-quiet")
    other.commit("First page", hello("other"))
    other.push().ok()
    assert other.says() == "other"
    held.interrupt(signal.SIGCONT)
    assert held.wait().refused("the application does not start")
    assert shop.says() == "one"


# A pusher who goes away.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_cancels_and_cleans_up(shop: App, running: Keep, number: int) -> None:
    before = shop.live()
    shop.commit("Second page", slow("two", shop.directory.parent / "never"))
    with shop.server.unchanged():
        push = running(shop.pushing())
        push.until("1 file sent")
        held = shop.server.processes()
        push.interrupt(number)
        began = time.monotonic()
        push.wait()
        eventually("all is cleaned up", lambda: "cancelled" in shop.server.gitdeploy("deploys", shop.name).out)
        assert time.monotonic() - began < 2.5  # a second, and what it takes to ask
        assert held
    assert (shop.live(), shop.says()) == (before, "one")
    shop.commit("Third page", hello("three"))
    shop.push().ok()
    assert shop.says() == "three"


def test_ctrl_c_while_the_pack_is_sent(shop: App, running: Keep) -> None:
    before = shop.live()
    shop.commit("Large", {"large.bin": os.urandom(80_000_000)})
    with shop.server.unchanged():
        push = running(shop.pushing())
        push.until("Writing objects:")
        push.interrupt()
        push.wait()
    assert (shop.live(), shop.says()) == (before, "one")


def test_ctrl_c_while_it_waits_its_turn(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-turn"
    commit = shop.commit("Second page", slow("two", gate))
    first = running(shop.pushing())
    first.until("1 file sent")
    second = running(shop.pushing())
    second.until("-----> Waiting for the deploy of alice")
    second.interrupt()
    second.wait()
    gate.touch()
    first.wait().ok()
    assert (shop.says(), shop.live()) == ("two", commit)
    shop.commit("Third page", hello("three"))
    shop.push().ok()


@pytest.mark.parametrize("moment", ["moved", "before activate", "before retire"])
def test_after_the_commit_point_it_completes_without_the_pusher(
    faulty: Faulty, shop: App, running: Keep, moment: str
) -> None:
    commit = shop.commit("Second page", hello("two"))
    faulty.plan(f"pause {moment}")
    push = running(shop.pushing())
    faulty.wait()
    push.interrupt(signal.SIGKILL)
    push.wait()
    faulty.go_on()
    eventually("it is live", lambda: "v2" in shop.server.gitdeploy("releases", shop.name).out)
    assert (shop.says(), shop.live()) == ("two", commit)
