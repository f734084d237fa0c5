"""Services of an environment with several nodes: one node has them, the others use them, nobody else gets there."""

from __future__ import annotations

import json
import subprocess
from urllib.parse import quote

import pytest

from .conftest import serving
from .keeper import Keeper
from .visitor import get, reaches

SETTINGS = """\
web: {processes: 1}
environments:
  production: {nodes: [many1, many2], services: many1}
  staging: {nodes: [many1, many2]}
  alone: {nodes: [many1]}
limits: {boot: 30s, step: 400s}
"""


@pytest.fixture(scope="module")
def many(nodes):
    return nodes(names=["many1", "many2"])


@pytest.fixture(scope="module")
def server(machines, many):
    with serving(machines, SETTINGS, many) as server:
        yield server


def do(node, app, what):
    answer = get(node, f"{app}.localhost", f"/do?do={quote(what)}")
    return json.loads(answer.text)


STARTED = ("systemctl", "show", "-P", "InvocationID", "postgresql@15-main.service", "mariadb.service")


def test_who_comes_to_use_them_from_another_node_interrupts_nobody(server, many):
    """They are one server for all apps, and would have to be started again to listen on another address."""
    first, second = many
    early = Keeper(server, first, "early", "postgresql, mysql, redis", "python3-psycopg2, python3-redis")
    early.app.git(
        "remote", "add", "alone", early.app.git("remote", "get-url", "staging").strip().replace("staging", "alone")
    )
    early.push("alone").ok()
    port = int(early.environ("alone")["CONFIG_REDIS_PORT"])
    assert not any(reaches(first.address, one) for one in (5432, 3306, port)) and reaches(first.address, 80)
    before = first.ssh(*STARTED)
    assert len(before.split()) == 2
    late = Keeper(server, first, "late", "postgresql, mysql")
    late.push().ok()
    assert do(second, "late", "sql('SELECT 1')") == [[1]]
    assert first.ssh(*STARTED) == before
    assert not any(reaches(first.address, one) for one in (5432, 3306))
    server.ssh("destroy", "--confirm", "late", "late", limit=200).ok()


def test_one_node_has_them_and_the_others_use_them(server, many, tmp_path):
    first, second = many
    shop = Keeper(server, first, "shop", "postgresql, redis", "python3-psycopg2, python3-redis")
    assert shop.push("staging").refused(
        "postgresql and redis must be on one of the 2 nodes of staging; write `services: NODE` for staging in gitdeploy.yaml,"
        " with the node that has had the data so far, or any if there are none,"
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


PG = """
def pg():
    import psycopg2
    cursor = psycopg2.connect(os.environ["CONFIG_PG_SQLALCHEMY"]).cursor()
    cursor.execute("SELECT 42")
    return cursor.fetchone()[0]
"""


def test_a_node_that_leaves_the_environment_comes_in_no_more(server, many):
    """What it made there goes on to work: a view of MariaDB belongs to the user and the address that made it."""
    first, second = many
    shop = Keeper(server, first, "leaving", "mysql, postgresql", "python3-mysqldb, python3-psycopg2")
    shop.code = shop.code.replace('"CONFIG_PG_HOST" in environ', '"CONFIG_MYSQL_HOST" not in environ') + PG
    shop.app.commit("MariaDB", {"keeper.py": shop.code})
    shop.push().ok()
    do(second, "leaving", "sql('CREATE VIEW answers AS SELECT 42')")
    user = ("mariadb", "-e", f"SHOW CREATE USER leaving@'{second.address}'")
    admitted = ("grep", "-c", f'"leaving" "leaving" {second.address}/32', "/etc/postgresql/15/main/pg_hba.conf")
    let_in = f"ip saddr {second.address} tcp dport 3306 accept"
    assert "ACCOUNT LOCK" not in first.ssh(*user) and first.ssh(*admitted) == "1\n"
    assert let_in in first.ssh("nft", "list", "table", "inet", "gitdeploy_services")
    before = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(before.replace("[many1, many2], services: many1", "[many1], services: many1")):
        shop.app.commit("Broken", {"keeper.py": "import nothing_of_that_name\n"})
        assert shop.push().refused("No module named 'nothing_of_that_name'")
        for node in many:  # what is live
            assert do(node, "leaving", "sql('SELECT * FROM answers')") == [[42]]
            assert do(node, "leaving", "pg()") == 42
        shop.app.commit("One node", {"keeper.py": shop.code})
        shop.push().ok()
        assert "ACCOUNT LOCK" in first.ssh(*user) and first.ssh(*admitted, check=False) == "0\n"
        assert let_in not in first.ssh("nft", "list", "table", "inet", "gitdeploy_services")
        assert do(first, "leaving", "sql('SELECT * FROM answers')") == [[42]]
    shop.app.commit("Two nodes", {"more.txt": "more"})
    shop.push().ok()
    assert do(second, "leaving", "sql('SELECT * FROM answers')") == [[42]]
    server.ssh("destroy", "--confirm", "leaving", "leaving", limit=200).ok()
    assert first.ssh("mariadb", "-Ne", "SELECT User FROM mysql.user WHERE User = 'leaving'") == ""


def test_services_on_another_node_are_empty_until_the_data_are_moved(server, many, tmp_path):
    first, second = many
    shop = Keeper(server, first, "moving", "redis", "python3-redis")
    shop.push().ok()
    do(second, "moving", "redis('SET', 'fruit', 'apple')")
    server.ssh("maintenance:on", "moving").ok()
    argv = server.ssh_argv("backup", "moving")
    saved = subprocess.run(argv, env=server.env, capture_output=True, check=True, timeout=60).stdout
    before = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(before.replace("[many1, many2], services: many1", "[many1, many2], services: many2")):
        told = server.ssh("redeploy", "moving", limit=200).ok().text
        assert "redis of many2 is new, and empty: what is live has another one, where its data stay;" in told
        server.ssh("maintenance:off", "moving").ok()
        assert do(first, "moving", "redis('GET', 'fruit')") == "None"
        server.ssh("restore", "moving", "--confirm", "moving", stdin=saved).ok()
        assert do(first, "moving", "redis('GET', 'fruit')") == "apple"
        do(first, "moving", "redis('SET', 'fruit', 'pear')")
    assert "new, and empty" not in server.ssh("redeploy", "moving", limit=200).ok().text
    assert do(second, "moving", "redis('GET', 'fruit')") == "apple"  # as it was left
    gone = server.ssh("destroy", "--confirm", "moving", "moving", limit=200).ok().text
    for node in many:
        assert f"{node.name}: redis kept as " in gone
        assert "moving" not in node.ssh("ls", "/var/lib/gitdeploy/services").split()
        assert "moving" not in node.ssh("systemctl", "list-units", "--all", "--plain", "service-*")


MOVE = """\
import os, sys, time
import redis
place, orders = "/var/lib/apps/" + os.environ["APP_NAME"], redis.Redis.from_url(os.environ["REDIS_URL"])
print(sys.argv[1], "of", os.environ["APP_RELEASE"], flush=True)
if sys.argv[1] == "update":
    orders.set("orders", 0)
    print("half of it is done", flush=True)
    while os.path.exists(place + "/gate"):
        time.sleep(0.02)
    if os.path.exists(place + "/fail"):
        sys.exit("the other half cannot be done")
    orders.set("orders", 100)
"""
ORDER, ORDERS = "int(redis('INCR', 'orders'))", "redis('GET', 'orders')"


def statuses(many, app):
    return [get(node, f"{app}.localhost", f"/do?do={quote(ORDER)}").status for node in many]


def test_an_exclusive_update_lets_nobody_write_on_any_node_until_it_is_settled(server, many):
    shop = Keeper(server, many[0], "orders", "redis", "python3-redis")
    shop.yaml += "before_update: bin/move.py before\nbefore_delete: bin/move.py goodbye\n"
    shop.app.commit("Get ready", {"app.yaml": shop.yaml, "bin/move.py": MOVE})
    shop.push().ok()
    assert do(many[1], "orders", "redis('SET', 'orders', '5')") == "True"
    place = many[0].root / "var/lib/apps/orders"
    shop.app.commit("Move", {"app.yaml": shop.yaml + "update: {run: bin/move.py update, exclusive: yes}\n"})
    for status, orders in ((1, 7), (0, 102)):
        (place / "gate").touch()
        if status:
            (place / "fail").touch()
        push = shop.app.pushing()
        try:
            push.until("half of it is done", 100)
            assert statuses(many, "orders") == [503, 503]
            for node in many:
                units = node.ssh("systemctl", "list-units", "--plain", "--no-legend", "app-orders-web@*.service")
                assert "running" not in units, units
            (place / "gate").unlink()
            said = push.wait(100)
        finally:
            push.close()
        assert said.status == status, said.text
        assert "many1: before of v1" in said.err and "many1: update of v" in said.err
        assert "many2: update" not in said.err and "many2: before" not in said.err
        assert statuses(many, "orders") == [200, 200]
        assert {do(node, "orders", ORDERS) for node in many} == {str(orders)}
        (place / "fail").unlink(missing_ok=True)
    gone = server.ssh("destroy", "--confirm", "orders", "orders", limit=200).ok().text
    assert "many1: goodbye of v" in gone and "many2: goodbye" not in gone


@pytest.mark.parametrize("service", ["files", "public_files", "memcached"])
def test_what_is_for_one_node_is_refused(server, many, service):
    app = Keeper(server, many[0], f"wants-{service.replace('_', '-')}", service, "")
    assert app.push().refused(f"{service} can only be used on one node, and production has others")
