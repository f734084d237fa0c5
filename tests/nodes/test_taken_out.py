"""Nodes that are taken out of an environment, with what they have, and that come back."""

from __future__ import annotations

import re

import pytest

from ..functional.session import PYTHON, hello
from .conftest import PRODUCTION_AND_STAGING, serving
from .machines import eventually
from .test_absent import row
from .traces import live
from .visitor import get, in_service, says

JOB = """\
import time
def tick():
    pass
def work():
    while True: time.sleep(1)
"""
YAML = PYTHON + 'processes:\n  worker: {run: "job:work"}\ncron:\n  tick: "* * * * * job:tick"\n'


@pytest.fixture(scope="module")
def web(nodes):
    return nodes(names=["left1", "left2"])


@pytest.fixture(scope="module")
def server(machines, web):
    """Of its own: whatever else there is would be stopped and deployed again with each change of its settings."""
    settings = PRODUCTION_AND_STAGING.replace("web1", "left1").replace("web2", "left2")
    with serving(machines, settings, web) as server:
        yield server


@pytest.fixture
def listed(server):
    """``listed("left1", "left2")``: these are the nodes of production, and no other environment has any."""
    settings = (server.home / "gitdeploy.yaml").read_text()

    def reload(*names):
        environments = f"  production: {{nodes: [{', '.join(names)}]}}\nlimits: "
        server.reload(re.sub(r"  production: .*?\nlimits: ", environments, settings, flags=re.DOTALL))

    reload("left1", "left2")
    yield reload
    server.reload(settings)


def units(node, key):
    """The units of an app that are there, those that listen included."""
    argv = (
        "systemctl",
        "list-units",
        "--plain",
        "--no-legend",
        "--full",
        f"app-{key}-*",
        f"app-{key}_*",
        f"cron-{key}*",
    )
    return [line.split()[0] for line in node.ssh(*argv).splitlines() if line.split()]


def test_a_node_that_is_taken_out_stops_what_it_has_and_catches_up_when_it_is_back(server, shop, web, listed):
    left1, left2 = web
    shop.commit("Sell apples", {**hello("apples"), "app.yaml": YAML, "job.py": JOB})
    shop.push().ok()
    assert units(left1, shop.name) and says(left1, shop) == "apples" and in_service(left1)

    listed("left2")
    eventually("nothing of it runs", lambda: not units(left1, shop.name))
    assert get(left1, f"{shop.name}.localhost").status == 404
    eventually("it is drained", lambda: not in_service(left1))
    eventually("jobs run where they are to", lambda: any(unit.endswith(".timer") for unit in units(left2, shop.name)))
    assert f"{shop.name} has data on left1 and does not run there" in server.ssh("nodes").ok().out
    assert "left1: well" in server.ssh("doctor").out
    shop.commit("Sell pears", {"hello.py": hello("pears")["hello.py"]})
    shop.push().ok()
    left1.power_off()
    left1.start()
    left1.up()
    assert not units(left1, shop.name) and get(left1, f"{shop.name}.localhost").status == 404

    listed("left1", "left2")
    eventually("it is in service", lambda: in_service(left1))
    assert says(left1, shop) == says(left2, shop) == "pears" and live(left1, shop.name) == live(left2, shop.name)
    assert any(unit.endswith(".timer") for unit in units(left1, shop.name))
    assert re.search(r"up +current +production.* +-$", row(server, "left1"))
    server.ssh("verify", shop.name).ok()


def test_what_was_destroyed_while_a_node_was_taken_out_is_gone_there_and_a_new_life_is_whole(server, shop, web, listed):
    left1, left2 = web
    shop.commit("The old life", hello("old"))
    shop.push().ok()
    listed("left2")
    eventually("nothing of it runs", lambda: not units(left1, shop.name))
    server.ssh("destroy", "--confirm", shop.name, shop.name).ok()
    assert not (left1.root / "srv/apps" / shop.name).exists()
    shop.commit("The new life", hello("new"))
    shop.push().ok()
    listed("left1", "left2")
    eventually("it is in service", lambda: in_service(left1))
    assert says(left1, shop) == says(left2, shop) == "new"


def test_a_node_that_knew_nothing_of_the_end_of_an_app_serves_its_new_life(server, shop, web, listed):
    left1, left2 = web
    shop.commit("The old life", hello("old"))
    shop.push().ok()
    left1.power_off()
    eventually("it is down", lambda: "down: " in row(server, "left1"))
    listed("left2")
    server.ssh("destroy", "--confirm", shop.name, shop.name).ok()
    shop.commit("The new life", hello("new"))
    shop.push().ok()
    listed("left1", "left2")
    left1.start()
    left1.up()
    eventually("it is in service", lambda: in_service(left1))
    assert says(left1, shop) == says(left2, shop) == "new" and live(left1, shop.name) == live(left2, shop.name)


def test_another_node_has_services_made_anew_by_a_push_alone_which_says_so(server, shop, web, listed):
    left1, left2 = web
    listed("left1")
    eventually("it is drained", lambda: not in_service(left2))
    shop.commit("Keep something", {**hello("files"), "app.yaml": PYTHON + "services: files\n"})
    shop.push().ok()
    listed("left2")
    eventually("it was tried", lambda: re.search(r"catch up .* refused", server.ssh("deploys", shop.name).ok().out))
    assert "files would be new there, and empty" in server.ssh("deploys", shop.name).out
    assert re.search(rf"catching up +current +production +production/{shop.name}$", row(server, "left2"))
    shop.commit("Go on without", {"hello.py": hello("without")["hello.py"]})
    done = shop.push().ok()
    assert "files of left2 is new, and empty: what is live has another one" in done.err
    assert says(left2, shop) == "without"
    assert (left1.root / "var/lib/apps" / shop.name / "files").is_dir()
    server.ssh("destroy", "--confirm", shop.name, shop.name).ok()
    assert not (left1.root / "var/lib/apps" / shop.name).exists()
    assert list((left1.root / "var/backups/apps" / shop.name).glob("*.backup"))


def test_a_node_that_missed_an_exchange_of_locations_comes_back(server, web, listed):
    left2 = web[1]
    settings = (server.home / "gitdeploy.yaml").read_text()
    server.reload(settings.replace("nodes: [left1, left2]", "nodes: [left1, left2], missing: 1"))
    apps = [server.app(name) for name in ("exchange-a", "exchange-b")]

    def push(app, where):
        app.commit(
            "Move", {**hello(f"{app.name} at {where}"), "app.yaml": PYTHON + f"locations: {where}.example.com\n"}
        )
        app.push().ok()

    for app, where in zip(apps, ("x", "y"), strict=True):
        push(app, where)
    left2.power_off()
    eventually("it is down", lambda: "down: " in row(server, "left2"))
    for app, where in ((apps[0], "z"), (apps[1], "x"), (apps[0], "y")):
        push(app, where)
    left2.start()
    left2.up()
    eventually("it is in service", lambda: in_service(left2))
    for node in web:
        assert says(node, "x.example.com") == "exchange-b at x" and says(node, "y.example.com") == "exchange-a at y"
    for app in apps:
        server.ssh("destroy", "--confirm", app.name, app.name).ok()
