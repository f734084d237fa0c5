"""The services besides PostgreSQL and files, on a real node: used by their app alone, backed up where they keep things."""

from __future__ import annotations

import signal

import pytest

from .keeper import yard_on
from .machines import eventually
from .visitor import reaches

CLIENTS = "python3-mysqldb, python3-redis, python3-pymemcache, python3-pika"
VIEW = "CREATE VIEW short AS SELECT id FROM notes"
TRIGGER = "CREATE TRIGGER shout BEFORE INSERT ON notes FOR EACH ROW SET NEW.text = UPPER(NEW.text)"


@pytest.fixture(scope="module")
def yard(machines, nodes):
    with yard_on(machines, nodes, "keep2") as yard:
        yield yard


@pytest.fixture(scope="module")
def shop(yard):
    shop = yard.keeper("shop", "mysql, redis, memcached, rabbitmq", CLIENTS)
    told = shop.push().ok().text
    for name in ("mysql", "redis", "memcached", "rabbitmq"):
        assert f"keep2: {name} is there" in told
    shop.push("staging").ok()
    return shop


@pytest.fixture(scope="module")
def burglar(yard, shop):
    burglar = yard.keeper("burglar", "mysql, redis, memcached, rabbitmq", CLIENTS)
    burglar.push().ok()
    return burglar


def refused(burglar, name, what):
    found = burglar.do(what)
    assert isinstance(found, dict) and "Error" in found["error"], (name, found)
    print(name, found["error"].strip().splitlines()[-1])


def test_rows_views_and_triggers_come_back(yard, shop, tmp_path):
    shop.do("sql('CREATE TABLE notes (id int AUTO_INCREMENT PRIMARY KEY, text text)')")
    shop.do(f"sql('{VIEW}')")
    shop.do(f"sql('{TRIGGER}')")
    shop.do("sql('INSERT INTO notes (text) VALUES (%s)', 'caf\\u00e9 \\U0001f34f DEFINER=`x`@`y`')")
    before = [[1, "CAFÉ 🍏 DEFINER=`X`@`Y`"]]
    assert shop.do("sql('SELECT * FROM notes')") == before
    assert shop.do("redis('SET', 'fruit', 'apple')") == "True"
    file = tmp_path / "shop.backup"
    yard.save(file, "backup", "shop")
    shop.do("sql('INSERT INTO notes (text) VALUES (%s)', 'later')")
    shop.do("redis('SET', 'fruit', 'pear')")
    yard.server.ssh("clear", "shop", "mysql", "redis", "rabbitmq", "memcached", "--confirm", "shop", limit=120).ok()
    assert "notes" in shop.do("sql('SELECT * FROM notes')")["error"]
    assert shop.do("redis('GET', 'fruit')") == "None"
    yard.send(file, "restore", "shop", "--confirm", "shop").ok()
    assert shop.do("sql('SELECT * FROM notes')") == before
    assert shop.do("sql('SELECT * FROM short')") == [[1]]
    assert shop.do("redis('GET', 'fruit')") == "apple"
    yard.server.ssh("clone-data", "shop", "staging/shop", "--confirm", "staging/shop", limit=200).ok()
    shop.do("sql('INSERT INTO notes (text) VALUES (%s)', 'loud')", "staging")
    assert shop.do("sql('SELECT text FROM notes ORDER BY id')", "staging") == [[before[0][1]], ["LOUD"]]
    assert shop.do("sql('SELECT * FROM short')", "staging") == [[1], [2]]
    assert shop.do("redis('GET', 'fruit')", "staging") == "apple"
    assert shop.do("sql('SELECT * FROM notes')") == before


def test_a_dump_that_does_not_load_changes_nothing(yard, shop, tmp_path):
    from buildless.node import archive

    shop.do("sql('CREATE TABLE IF NOT EXISTS kept (id int)')")
    shop.do("redis('SET', 'kept', 'yes')")
    for name, text in {"mysql": b"CREATE TABLE x (id int);\nNONSENSE;\n", "redis": b"no rdb"}.items():
        file = tmp_path / name
        with file.open("wb") as out:
            about = {"app": "shop", "time": 0}
            archive.write(out, about, [(name, lambda into, text=text: into.write(text) and None)])
        done = yard.send(file, "restore", "shop", "--confirm", "shop")
        assert done.status == 1, done.text
        print(done.err)
    assert shop.do("sql('SELECT * FROM kept')") == []
    assert shop.do("redis('GET', 'kept')") == "yes"
    sh = b"\\! touch /tmp/burgled\nsystem touch /tmp/burgled\n"
    file = tmp_path / "sh"
    with file.open("wb") as out:
        archive.write(out, {"app": "shop", "time": 0}, [("mysql", lambda into: into.write(sh) and None)])
    yard.send(file, "restore", "shop", "--confirm", "shop")
    assert "burgled" not in yard.node.ssh("ls", "/tmp")
    assert shop.do("sql('SELECT * FROM kept')") == []


def with_memory(shop, size):
    """Its app.yaml with an option for redis."""
    some = "services: mysql, redis, memcached, rabbitmq\n"
    assert some in shop.yaml
    return shop.yaml.replace(some, f"services: {{mysql: , redis: {{memory: {size}}}, memcached: , rabbitmq: }}\n")


def test_what_would_interrupt_a_service_waits_until_the_release_is_live(yard, shop):
    def started():
        return yard.node.ssh("systemctl", "show", "-P", "InvocationID", "service-shop-redis.service")

    before = started()
    assert before.strip()
    larger = {"app.yaml": with_memory(shop, "99MB")}
    shop.app.commit("More memory, and a mistake", {**larger, "keeper.py": "import nothing_of_that_name\n"})
    shop.push().refused("No module named 'nothing_of_that_name'")
    assert started() == before
    shop.app.commit("More memory", {**larger, "keeper.py": shop.code})
    told = shop.push().ok().text
    assert told.index("Starting v") < told.index("Changing redis")
    assert started() != before
    assert shop.do("redis('INFO', 'memory')").count("'maxmemory': 99000000,") == 1
    shop.app.commit("The same", {"more.txt": "more"})
    now = started()
    assert "Changing" not in shop.push().ok().text
    assert started() == now


def test_a_change_that_failed_is_made_when_the_server_is_started_again(yard, shop):
    """The release is live, and its redis cannot be started with what it asks for."""
    kept = ("grep", "-c", "98MB", "/var/lib/gitdeploy/services/shop/redis.json")
    memory = ("grep", "^maxmemory ", "/var/lib/gitdeploy/redis/.shop.conf")
    drop_in = "/etc/systemd/system/service-shop-redis.service.d/fault.conf"
    text = "[Service]\\nExecStartPre=/usr/bin/test ! -e /run/fault\\n"
    fault = f"mkdir $(dirname {drop_in}) && printf '{text}' >{drop_in} && touch /run/fault"
    yard.node.ssh("sh", "-c", fault)
    before = yard.node.ssh("cat", "/var/lib/gitdeploy/services/shop/redis.json")
    shop.app.commit("Less memory", {"app.yaml": with_memory(shop, "98MB")})
    told = shop.push().ok().text
    assert "look at it on keep2; it is tried again there" in told and "Live: v" in told
    assert yard.node.ssh("cat", "/var/lib/gitdeploy/services/shop/redis.json") == before
    yard.server.end(signal.SIGKILL)
    yard.node.ssh("sh", "-c", f"rm -r /run/fault $(dirname {drop_in})")
    yard.server.start()
    eventually("the node has it changed", lambda: yard.node.ssh(*kept, check=False) == "1\n")
    assert yard.node.ssh(*memory) == "maxmemory 98000000\n"
    eventually("it answers", lambda: shop.do("redis('INFO', 'memory')").count("'maxmemory': 98000000,") == 1)
    assert yard.node.ssh("find", "/run/gitdeploy", "-name", "*.due") == ""


@pytest.mark.parametrize("then", ["push", "start"])
def test_a_machine_that_was_switched_off_in_a_restore_mends_itself(yard, shop, then):
    """What MariaDB had before is in a file while a dump is put in its place; the next push finds it, or a server that starts."""
    shop.do("sql('CREATE TABLE IF NOT EXISTS mended (id int)')")
    before = "/var/backups/apps/shop/.mysql-before.sql"
    yard.node.ssh(
        "sh",
        "-c",
        f"mkdir -p {before.rpartition('/')[0]} && mariadb-dump shop > {before} && mariadb -e 'DROP DATABASE shop'",
    )
    assert isinstance(shop.do("sql('SELECT * FROM mended')"), dict)
    if then == "push":
        shop.app.commit("Once more", {"more.txt": ""})
        shop.push().ok()
    else:
        yard.server.end(signal.SIGKILL)
        yard.server.start()
        eventually("it is gone", lambda: before not in yard.node.ssh("find", "/var/backups/apps"))
    assert shop.do("sql('SELECT * FROM mended')") == []
    assert before not in yard.node.ssh("find", "/var/backups/apps")


CUT = """\
import os, signal, sys, tempfile
from pathlib import Path
sys.path.insert(0, "/usr/lib/gitdeploy")
from buildless.errors import NodeError
from buildless.node.layout import Layout
from buildless.node.machine import SystemOwners
from buildless.service import Account
from buildless.services.mysql import CLIENT, SERVICE, login, target, tool

home = Layout(Path("/"), SystemOwners()).app("cut")
account = Account("mysql", "cut", "0123456789abcdef" * 3)
CHANGES = ("os.remove", "os.rename", "subprocess.Popen")

def sql(text):
    return tool.run((*CLIENT, *target(account), "-N", "-e", text, "cut"), env=login(account)).split()

def restore(left):  # in a process that is killed before so many changes; says whether it was
    child = os.fork()
    if child == 0:
        def look(event, args):
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(look)
        SERVICE.load(home, account, dump)
        SERVICE.swap(home, account)
        SERVICE.drop(home, account)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

SERVICE.install(home, account)
sql("CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)")
dump = tempfile.TemporaryFile()
SERVICE.dump(home, account, dump)
change, killed = 0, True
while killed:
    sql("DROP TABLE IF EXISTS notes; CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2)")
    dump.seek(0)
    killed = restore(change)
    try:
        found = " ".join(sql("SELECT id FROM notes"))
    except NodeError:
        found = "cut"
    SERVICE.install(home, account)
    left = SERVICE.before(home).exists()
    print(f"{found}: {' '.join(sql('SELECT id FROM notes'))}{' and a file' if left else ''}", flush=True)
    SERVICE.drop(home, account)
    change += 1
SERVICE.remove(home, account)
"""


def test_a_restore_that_is_killed_anywhere_is_done_or_undone(yard, shop):
    """What the app finds right after that is what it has for good, or, where that is not all of it, what it had before."""
    told = yard.node.ssh("python3", "-", stdin=CUT.encode(), limit=200).splitlines()
    print(told)
    changes = [line for line, before in zip(told, ["", *told], strict=False) if line != before]
    assert changes == ["1 2: 1 2", "cut: 1 2", "1: 1"]


def test_mysql_and_redis_of_another_app_are_closed(shop, burglar):
    mine, its = burglar.environ(), shop.environ()
    connect = "exec('global MySQLdb; import MySQLdb') or MySQLdb.connect(host='127.0.0.1', user='shop', db='shop'"
    refused(burglar, "without a password", f"{connect})")
    refused(burglar, "with its own", f"{connect}, passwd='{mine['CONFIG_MYSQL_PASSWORD']}')")
    refused(burglar, "by the socket", "exec('global MySQLdb; import MySQLdb') or MySQLdb.connect(user='shop')")
    refused(burglar, "another's database", "sql('SELECT * FROM shop.notes')")
    client = "exec('global client; import redis as client') or client.Redis.from_url"
    port = its["CONFIG_REDIS_PORT"]
    assert port != mine["CONFIG_REDIS_PORT"]
    refused(burglar, "redis without", f"{client}('redis://127.0.0.1:{port}').get('x')")
    refused(
        burglar, "redis with its own", f"{client}('redis://:{mine['CONFIG_REDIS_PASSWORD']}@127.0.0.1:{port}').get('x')"
    )
    refused(burglar, "redis as a way to files", "redis('CONFIG', 'SET', 'dir', '/tmp')")


@pytest.mark.parametrize("what", ["start", "reload", "restart"])
def test_the_packet_filters_rules_are_there_whenever_debians_are_read(yard, shop, what):
    """They begin with ``flush ruleset``."""
    ours = {"table inet gitdeploy", "table inet gitdeploy_services"}
    assert ours <= set(yard.node.ssh("nft", "list", "tables").splitlines())
    yard.node.ssh("systemctl", what, "nftables.service")
    assert ours <= set(yard.node.ssh("nft", "list", "tables").splitlines())


@pytest.mark.parametrize(
    ("unit", "port"),
    [("service-shop-redis.service", "CONFIG_REDIS_PORT"), ("rabbitmq-server.service", "CONFIG_RABBITMQ_PORT")],
)
def test_nobody_else_answers_where_a_service_does(yard, shop, burglar, unit, port):
    """While it is being started anew its port is anybody's: who listens there would be told the passwords of those who come."""
    number = shop.environ()[port]
    yard.node.ssh("systemctl", "stop", unit, limit=120)
    made = (
        "exec('global socket, held; import socket; held = socket.socket();"
        " held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)') or "  # as if no client had been there a moment ago
    )
    assert burglar.do(f"{made}(held.bind(('127.0.0.1', {number})), held.listen())") == [None, None]
    connect = "exec('global socket; import socket') or socket.create_connection"
    found = shop.do(f"{connect}(('127.0.0.1', {number}), 2)")
    assert burglar.do("held.close()") is None
    yard.node.ssh("systemctl", "start", unit, limit=120)
    assert "timed out" in found["error"]
    assert shop.do(f"{connect}(('127.0.0.1', {number}), 2).close()") is None


def test_a_cache_is_its_apps_alone(shop, burglar):
    client = (
        "exec('global Client; from pymemcache.client.base import Client') or"
        " Client(os.environ['MEMCACHED_SERVERS'].partition(':')[2])"
    )
    assert shop.do(f"{client}.set('fruit', 'apple')") is True
    assert shop.do(f"{client}.get('fruit').decode()") == "apple"
    its = shop.environ()["CONFIG_MEMCACHED_SOCKET"]
    other = client.replace("os.environ['MEMCACHED_SERVERS'].partition(':')[2]", f"'{its}'")
    refused(burglar, "its socket", f"{other}.get('fruit')")
    assert "11211" not in burglar.node.ssh("ss", "-lntu")


PIKA = "exec('global pika; import pika') or "


def test_messages_go_through_its_own_virtual_host(yard, shop, burglar):
    channel = (
        "exec('global c; c = pika.BlockingConnection(pika.URLParameters(os.environ[\"AMQP_URL\"])).channel()') or "
    )
    shop.do(f"{PIKA}{channel}(c.queue_declare('q'), c.basic_publish('', 'q', b'apples'))[1]")
    assert shop.do(f"{PIKA}{channel}c.basic_get('q', True)[2].decode()") == "apples"
    mine = burglar.environ()
    for user in ("shop", "burglar", "guest"):
        password = "guest" if user == "guest" else mine["CONFIG_RABBITMQ_PASSWORD"]
        url = f"amqp://{user}:{password}@127.0.0.1:5672/shop"
        refused(burglar, f"rabbitmq as {user}", f"{PIKA}pika.BlockingConnection(pika.URLParameters('{url}'))")
    listening = [line.split()[3] for line in yard.node.ssh("ss", "-Hlnt").splitlines()]
    others = [one for one in listening if not one.startswith(("127.0.0.1:", "[::1]:", "127.0.0.54", "127.0.0.53"))]
    assert {one.rpartition(":")[2] for one in others} == {"22", "80", "3306", "5672"}, listening
    assert not reaches(yard.node.address, 3306) and not reaches(yard.node.address, 5672)


def test_all_of_it_is_there_again_after_a_reboot(yard, shop):
    shop.do("redis('SET', 'fruit', 'plum')")
    asked = ("systemctl", "show", "-P", "InactiveExitTimestamp", "ssh")
    before = yard.node.ssh(*asked)
    yard.node.reboot()
    eventually("it reboots", lambda: yard.node.ssh(*asked, check=False) != before, 120)
    yard.node.up(240)  # an Erlang, a MariaDB, three of Redis and memcached, and four applications
    assert shop.do("redis('GET', 'fruit')") == "plum"
    assert shop.environ()["CONFIG_REDIS_PORT"]
    done = yard.server.ssh("verify", "shop").ok()
    assert "every file of it, and runs" in done.out


def left(yard, name):
    """What there is of an app besides its backups, on the node."""
    node = yard.node
    return {
        "databases": node.ssh("mariadb", "-Ne", f"SHOW DATABASES LIKE '{name}%'"),
        "users": node.ssh("mariadb", "-Ne", f"SELECT User, Host FROM mysql.user WHERE User = '{name}'"),
        "units": node.ssh("systemctl", "list-units", "--all", "--plain", "--no-legend", f"service-{name}-*"),
        "virtual hosts": [one for one in node.ssh("rabbitmqctl", "-q", "list_vhosts").split() if one == name],
        "rabbitmq's users": [one for one in node.ssh("rabbitmqctl", "-q", "list_users").split() if one == name],
        "files": node.ssh("find", "/var/lib/gitdeploy", "/etc/systemd/system", "/srv/apps", "/var/lib/apps", "-name", f"*{name}*"),
        "user": node.ssh("getent", "passwd", f"app-{name}", check=False),
    }  # fmt: skip


def test_nothing_is_left_of_an_app_that_is_destroyed_but_a_backup(yard):
    gone = yard.keeper("gone", "mysql, redis, memcached, rabbitmq, files", CLIENTS)
    gone.push().ok()
    assert all(left(yard, "gone").values())
    yard.server.ssh("destroy", "--confirm", "gone", "gone", limit=200).ok()
    assert {what: found for what, found in left(yard, "gone").items() if found} == {}
    assert yard.node.ssh("ls", "/var/backups/apps/gone").endswith(".backup\n")
    gone.push().ok()
    gone.do("sql('CREATE TABLE again (id int)')")
    assert gone.do("redis('SET', 'again', 'yes')") == "True"
