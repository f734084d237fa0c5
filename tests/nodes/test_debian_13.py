"""A node of the next Debian: another Python, gunicorn, PostgreSQL, PHP and nginx, set up and deployed to in the same way."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ..functional.session import Server, hello, remove
from .load import Load
from .test_run import lose_who_sends
from .visitor import get, says

SETTINGS = """\
web: {{processes: 2, max_requests: 20, max_requests_jitter: 5}}
environments:
  production: {{nodes: [{node.name}]}}
limits: {{boot: 20s, step: 300s}}
"""
ROWS = """\
import os, psycopg2

def application(environ, start_response):
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        body = cursor.fetchone()[0]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""


@pytest.fixture(scope="module")
def trixie(machines, bare):
    node = bare(image="debian-13")
    said = machines.gitdeploy("setup-node", node.name, limit=900)
    assert said.splitlines()[-1] == f"{node.name}: ready"
    assert "nothing changed" in machines.gitdeploy("setup-node", node.name)
    return node


@pytest.fixture(scope="module")
def server(machines, trixie):
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    server = Server(top, SETTINGS.format(node=trixie) + machines.lend(top / "h", trixie))
    try:
        yield server.open()
    finally:
        server.close()
        remove(top)


def test_no_request_is_lost_by_a_switch_or_when_a_process_is_replaced(server, trixie):
    shop = server.app("shop")
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    with Load(trixie.address, "shop.localhost") as load:
        for what in ("pears", "plums", "quinces"):
            shop.commit(f"Sell {what}", hello(what))
            shop.push().ok()
        shop.push("-f", "deploy", "HEAD~1:master").ok()
        assert says(trixie, shop) == "plums"
    assert load.bad == [] and load.answers["plums"] and sum(load.answers.values()) > 200
    server.ssh("verify", "shop").ok()
    server.ssh("doctor").ok()


def test_a_database_of_its_own(server, trixie):
    rows = server.app("rows")
    yaml = "platform: python, wsgi\napp: rows:application\ndeb: python3-psycopg2\nservices: {postgresql: }\n"
    rows.commit("Ask", {"app.yaml": yaml, "rows.py": ROWS})
    rows.push().ok()
    assert says(trixie, rows).startswith("17.")


def test_php(server, trixie):
    page = server.app("page")
    page.commit("Say", {"app.yaml": "platform: php\nstatic: public\n", "public/index.php": "<?php echo PHP_VERSION;"})
    page.push().ok()
    assert get(trixie, "page.localhost").text.startswith("8.4")


@pytest.mark.parametrize(("option", "number"), [("-T", 4006), ("-tt", 4007)])
def test_a_command_that_reads_nothing_ends_with_the_one_who_asked(server, trixie, running, option, number):
    stall = server.app(f"stall{number}")
    stall.commit("Sell figs", hello("figs"))
    stall.push().ok()
    lose_who_sends(server, stall, [trixie], running, option, number)
