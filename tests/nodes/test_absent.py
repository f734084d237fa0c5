"""Nodes that are down when somebody pushes, and that come back."""

from __future__ import annotations

import re
import time

import pytest

from ..functional.session import PYTHON, hello
from .machines import eventually
from .traces import live, unchanged
from .visitor import PICKY, errors, in_service, lines, says


@pytest.fixture
def web2_down(server, web):
    """web2 has no power, and the server has seen it."""
    web2 = web[1]
    web2.power_off()
    eventually("it is down", lambda: "down: " in row(server, "web2"))
    yield web2
    if not web2.container.running():
        web2.start()
    web2.up()
    eventually("it is in service", lambda: in_service(web2))


def row(server, node):
    """What `nodes` says of a node."""
    return next(line for line in server.ssh("nodes").ok().out.splitlines() if line.startswith(f"{node} "))


def watch(node, app, limit=60.0):
    """Ask a node that is booting again and again until it is in service; returns what it served, and whether it was, in order."""
    seen, until = [], time.monotonic() + limit
    while time.monotonic() < until:
        try:
            now = (in_service(node), says(node, app))
        except OSError:
            continue
        if not seen or seen[-1] != now:
            seen.append(now)
        if now[0]:
            return seen
    raise AssertionError(f"not in service within {limit:g} s: {seen}")


def test_a_push_is_refused_while_a_node_is_down(shop, web, web2_down):
    shop.commit("Sell apples", hello("apples"))
    with unchanged(shop.name, web[0]):
        done = shop.push()
    [error] = errors(done)
    assert error.startswith("web2 does not answer (")
    assert error.endswith(
        "; push again when all are back, or write `missing: 1` for production in gitdeploy.yaml"
        " and have the server read it again (systemctl reload gitdeploy, or SIGHUP)"
    )
    assert done.refused("web2 does not answer (")


@pytest.fixture
def missing_1(server):
    """production may do without one of its nodes."""
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("nodes: [web1, web2]", "nodes: [web1, web2], missing: 1")):
        yield


def test_where_one_may_be_missing_the_push_goes_on_and_the_node_catches_up(server, shop, web, missing_1, request):
    web1, web2 = web
    back, new = (server.app(f"{shop.name}-{what}") for what in ("back", "new"))
    for app in (shop, back):
        app.commit("Sell apples", hello("apples"))
        app.push().ok()
    request.getfixturevalue("web2_down")

    pears = shop.commit("Sell pears", hello("pears"))
    done = shop.push().ok()
    assert errors(done) == ["web2 does not answer; it catches up when it is back"]
    assert "-----> Live: v2, COMMIT on web1, after N s" in lines(done) and says(web1, shop) == "pears"
    back.commit("Sell pears", hello("pears"))
    back.push().ok()
    back.push("-f", "deploy", "HEAD~1:master").ok()
    new.commit("A first push", hello("new"))
    new.push().ok()
    ps = server.ssh("ps", shop.name).ok().out
    assert "web1: v2 is live\nweb2: down: ssh: connect to host" in ps
    assert "; it catches up when it is back" in ps
    missed = ", ".join(sorted(f"production/{app.name}" for app in (shop, back, new)))
    assert row(server, "web2").endswith(f" {missed}") and "down: ssh: connect to host" in row(server, "web2")
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("nodes: [web1, web2]", "nodes: [web2, web1]")):
        assert f"http://{shop.name}.localhost/" in server.ssh("apps").ok().out  # also while the first node is down

    web2.start()
    seen = watch(web2, shop)
    assert (False, "apples") in seen and (True, "apples") not in seen and seen[-1] == (True, "pears")
    assert says(web2, new) == "new"
    for app, release in ((shop, "v2"), (back, "v3"), (new, "v1")):
        assert live(web2, app.name) == live(web1, app.name) and live(web2, app.name).startswith(f"{release} ")
        server.ssh("verify", app.name).ok()
    assert live(web2, shop.name) == f"v2 {pears}"
    assert re.search(r"up +current +production +-$", row(server, "web2"))
    assert re.search(r"d3 .* gitdeploy +catch up .* live +v2 ", server.ssh("deploys", shop.name).ok().out)


def test_a_node_whose_cable_is_cut_just_before_a_push_is_one_that_is_down(server, shop, web, missing_1):
    web1, web2 = web
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    shop.commit("Sell pears", hello("pears"))
    web2.cut()
    try:
        done = shop.push().ok()
        assert errors(done) == ["web2 does not answer; it catches up when it is back"] and says(web1, shop) == "pears"
    finally:
        web2.mend()
    eventually("it has caught up", lambda: says(web2, shop) == "pears" and in_service(web2), 60)


def test_an_exclusive_update_waits_for_all_nodes(server, shop, web, missing_1, request):
    web1 = web[0]
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    request.getfixturevalue("web2_down")
    shop.commit(
        "Other data",
        {"app.yaml": f"{PYTHON}update: {{run: bin/migrate.sh, exclusive: yes}}\n", "bin/migrate.sh": "echo migrated\n"},
    )
    with unchanged(shop.name, web1):
        done = shop.push()
    assert done.refused(
        "an exclusive update wants all nodes, as those that come back later would write: web2 does not answer ("
    )
    assert "Delivering" not in done.err and "catches up" not in done.err and says(web1, shop) == "apples"


def test_a_node_that_cannot_catch_up_stays_out_of_service_and_says_so(server, shop, web, missing_1, request):
    web2 = web[1]
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    request.getfixturevalue("web2_down")
    shop.commit("Be picky", PICKY)
    shop.push().ok()
    web2.start()
    web2.up()
    eventually("it was tried", lambda: re.search(r"d3 .* refused", server.ssh("deploys", shop.name).ok().out))
    assert re.search(rf"catching up +current +production +production/{shop.name}$", row(server, "web2"))
    assert not in_service(web2) and says(web2, shop) == "apples"
    assert "it is not up to date, and gets no requests from a balancer until it is" in server.ssh("doctor").out
    said = server.ssh("verify", shop.name)
    assert said.status == 1 and f"deploy it: redeploy {shop.name}" in said.out
    shop.commit("Sell pears", hello("pears"))
    shop.push().ok()
    eventually("it is in service", lambda: in_service(web2), 10)


def test_logs_are_those_of_the_others_and_a_node_that_is_drained_meanwhile_stays_out(server, shop, web, request):
    web2 = web[1]
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    request.getfixturevalue("web2_down")
    said = server.ssh("logs", shop.name).ok()
    assert "gitdeploy: web2: it does not answer: ssh: connect to host" in said.err
    assert all(line.startswith("web1 ") for line in said.out.splitlines())
    said = server.ssh("nodes:drain", "web2").ok().out
    assert re.match(
        r"web2 does not answer \(ssh: .*\); it is drained when it is back, until: nodes:resume web2\n", said
    )
    web2.start()
    web2.up()
    try:
        eventually("it is up to date", lambda: re.search(r"^drained +current", row(server, "web2").split(None, 2)[2]))
        assert not in_service(web2)
    finally:
        server.ssh("nodes:resume", "web2").ok()
