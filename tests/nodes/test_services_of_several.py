"""Services of an environment with several nodes: one node has them, the others use them, nobody else gets there."""

from __future__ import annotations

import json
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

from ..functional.session import Server, remove
from .keeper import Keeper
from .visitor import get

SETTINGS = """\
web: {processes: 1}
environments:
  production: {nodes: [many1, many2], services: many1}
  staging: {nodes: [many1, many2]}
limits: {boot: 30s, step: 400s}
"""


@pytest.fixture(scope="module")
def many(nodes):
    return nodes(names=["many1", "many2"])


@pytest.fixture(scope="module")
def server(machines, many):
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    server = Server(top, SETTINGS + machines.lend(top / "h", *many))
    try:
        yield server.open()
    finally:
        server.close()
        remove(top)


def do(node, app, what):
    answer = get(node, f"{app}.localhost", f"/do?do={quote(what)}")
    return json.loads(answer.text)


def reaches(address, port):
    """Whether this machine, which is none of the nodes, gets an answer there."""
    try:
        with socket.create_connection((address, port), 3):
            return True
    except OSError:
        return False


def test_one_node_has_them_and_the_others_use_them(server, many, tmp_path):
    first, second = many
    shop = Keeper(server, first, "shop", "postgresql, redis", "python3-psycopg2, python3-redis")
    assert shop.push("staging").refused(
        "postgresql and redis must be on one of the 2 nodes of staging; write `services: many1` for staging in gitdeploy.yaml"
    )
    shop.push().ok()
    environ = do(second, "shop", "dict(os.environ)")
    assert environ["CONFIG_PG_HOST"] == first.address == environ["CONFIG_REDIS_HOST"]
    do(first, "shop", "sql('CREATE TABLE notes (text text)')")
    do(second, "shop", "sql('INSERT INTO notes VALUES (%s)', 'from many2')")
    assert do(first, "shop", "sql('SELECT * FROM notes')") == [["from many2"]]
    do(first, "shop", "redis('SET', 'fruit', 'apple')")
    assert do(second, "shop", "redis('GET', 'fruit')") == "apple"
    assert second.ssh("dpkg-query", "-W", "-f", "${db:Status-Status}", "postgresql", check=False).strip() != "installed"
    # nobody else gets there
    port = int(environ["CONFIG_REDIS_PORT"])
    assert not reaches(first.address, 5432) and not reaches(first.address, port) and reaches(first.address, 80)
    burglar = Keeper(server, second, "burglar", "postgresql, redis", "python3-psycopg2, python3-redis")
    burglar.push().ok()
    stolen = do(
        second,
        "burglar",
        f"exec('global psycopg2; import psycopg2') or psycopg2.connect(host='{first.address}', user='burglar', dbname='shop',"
        " password=os.environ['CONFIG_PG_PASSWORD'])",
    )
    assert "no pg_hba.conf entry" in stolen["error"], stolen
    # it is so after a reboot, and there is a backup of it
    first.cycle()
    assert do(second, "shop", "sql('SELECT * FROM notes')") == [["from many2"]]
    assert do(second, "shop", "redis('GET', 'fruit')") == "apple"
    assert not reaches(first.address, 5432) and not reaches(first.address, port)
    saved = server.ssh("clear", "shop", "postgresql", "--confirm", "shop").ok()
    assert "nothing in postgresql" in saved.out
    assert "notes" in do(second, "shop", "sql('SELECT * FROM notes')")["error"]


@pytest.mark.parametrize("service", ["files", "public_files", "memcached"])
def test_what_is_for_one_node_is_refused(server, many, service):
    app = Keeper(server, many[0], f"wants-{service.replace('_', '-')}", service, "")
    assert app.push().refused(f"{service} can only be used on one node, and production has others")
