"""Updates that fail half-way: what becomes of the data, of what is live, and of what it writes meanwhile; plain and exclusive."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .session import PYTHON, App, Running, Server, eventually, hello, remove

SHOP = """\
import os
FILE = os.path.join(os.environ["CONFIG_FILES"], "orders")
def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        with open(FILE, "a") as file:
            file.write(environ["QUERY_STRING"] + "\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [open(FILE).read().encode() if os.path.exists(FILE) else b""]
"""
MIGRATE = """\
import os, time
import shop
def migrate():
    lines = open(shop.FILE).read().splitlines() if os.path.exists(shop.FILE) else []
    with open(shop.FILE, "w") as file:
        for line in lines[:1]:
            print("new:" + line, file=file, flush=True)
        print("half of it is written", flush=True)
        while os.path.exists("{gate}"):
            time.sleep(0.02)
        if os.path.exists("{fail}"):
            raise RuntimeError("the second half cannot be migrated")
        for line in lines[1:]:
            print("new:" + line, file=file)
"""
HANG = """\
import os, sys, time
with open(os.path.join(os.environ["CONFIG_FILES"], "hanging"), "a") as file:
    print(sys.argv[1], os.getpid(), file=file)
print("hanging", flush=True)
time.sleep(600)
"""


@pytest.fixture
def shop(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> App:
    """An app that is live and has two orders; its next version would migrate them, waits while `gate` is there, and fails if
    `fail` is."""
    plain = "plain" in request.node.name
    app = server.app("u" + str(abs(hash(request.node.name)) % 10**8))
    yaml = PYTHON.replace("hello", "shop") + "services: files\n"
    app.commit("Takes orders", {"app.yaml": yaml, "shop.py": SHOP})
    app.push().ok()
    order(app, "one")
    order(app, "two")
    update = "update: moves:migrate\n" if plain else "update: {run: 'moves:migrate', exclusive: yes}\n"
    moves = MIGRATE.format(gate=tmp_path / "gate", fail=tmp_path / "fail")
    app.commit("Migrates", {"app.yaml": yaml + update, "moves.py": moves})
    (tmp_path / "gate").touch()
    (tmp_path / "fail").touch()
    return app


def order(app: App, text: str) -> int:
    """Order something; returns the status."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", app.server.http_port, timeout=30)
    try:
        connection.request("POST", f"/?{text}", headers={"Host": f"{app.name}.localhost"})
        return connection.getresponse().status
    finally:
        connection.close()


def orders(app: App) -> list[str]:
    return app.says().split()


def test_a_plain_update_that_fails_loses_no_write_and_keeps_a_backup(shop: App, tmp_path: Path) -> None:
    first = shop.live()
    push = shop.pushing()
    push.until("half of it is written")
    assert order(shop, "three") == 200  # what is live goes on answering, and writing
    (tmp_path / "gate").unlink()
    said = push.wait()
    assert said.status == 1
    assert "RuntimeError: the second half cannot be migrated" in said.err
    assert shop.live() == first
    assert "three" in orders(shop)
    [command] = re.findall(r"to have them as they were: (restore --kept \S+ --confirm \S+ \S+)", said.err)
    shop.server.ssh(*command.split()).ok()
    assert orders(shop) == ["one", "two"]
    (tmp_path / "fail").unlink()
    shop.push().ok()
    assert orders(shop) == ["new:one", "new:two"]


def test_an_exclusive_update_that_fails_is_taken_back(shop: App, tmp_path: Path) -> None:
    first = shop.live()
    push = shop.pushing()
    push.until("half of it is written")
    answer = shop.get()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "is being brought up to date" in answer.text
    assert order(shop, "three") == 503
    (tmp_path / "gate").unlink()
    said = push.wait()
    assert said.status == 1
    assert "Putting the data back as they were" in said.err
    assert "nobody has written since then" in said.err
    assert (shop.live(), orders(shop)) == (first, ["one", "two"])
    assert order(shop, "three") == 200
    (tmp_path / "fail").unlink()
    shop.push().ok()
    assert orders(shop) == ["new:one", "new:two", "new:three"]


def test_an_exclusive_update_ends_what_somebody_runs_and_jobs(
    shop: App, tmp_path: Path, running: Callable[[Running], Running]
) -> None:
    """As on nodes: what they write would be lost with what is put back. It is so in the middle of the update, and not before."""
    yaml = (shop.directory / "app.yaml").read_text()
    hanging = shop.server.home / f"node/var/lib/apps/{shop.name}/files/hanging"
    shop.git("checkout", "-q", "HEAD~")
    plain = (shop.directory / "app.yaml").read_text() + 'cron: {hang: "* * * * * bin/hang.py job"}\n'
    shop.commit("Hangs", {"app.yaml": plain, "bin/hang.py": HANG})
    shop.push("deploy", "HEAD:master").ok()
    argv = shop.server.ssh_argv("run", shop.name, "bin/hang.py", "run")
    somebody = running(Running(argv, shop.server.env, shop.directory))
    somebody.until("hanging")
    eventually("the job runs", lambda: hanging.read_text().split()[::2] == ["run", "job"], 75)
    before = [Path("/proc", pid) for pid in hanging.read_text().split()[1::2]]
    assert all(path.exists() for path in before)
    shop.commit(
        "Migrates", {"app.yaml": yaml, "moves.py": MIGRATE.format(gate=tmp_path / "gate", fail=tmp_path / "none")}
    )
    push = shop.pushing("deploy", "HEAD:master")
    push.until("half of it is written")
    assert not [path for path in before if path.exists()]
    assert somebody.wait().status == 143  # as a shell says SIGTERM
    another = shop.server.ssh("run", shop.name, "bin/hang.py", "run")
    assert another.status != 0 and f"the data of production/{shop.name} are being brought up to date" in another.err
    (tmp_path / "gate").unlink()
    push.wait().ok()
    assert orders(shop) == ["new:one", "new:two"]


def test_an_exclusive_update_is_taken_back_if_the_release_does_not_start(shop: App, tmp_path: Path) -> None:
    (tmp_path / "gate").unlink()
    (tmp_path / "fail").unlink()
    shop.commit("Broken", {"app.yaml": (shop.directory / "app.yaml").read_text() + "ping: /nowhere\n"})
    shop.commit(
        "Broken",
        {"shop.py": SHOP.replace('"200 OK"', '"404 Not Found" if "nowhere" in environ["PATH_INFO"] else "200 OK"')},
    )
    assert shop.push().refused("/nowhere answered 404")
    assert orders(shop) == ["one", "two"]


def test_an_exclusive_update_is_taken_back_when_the_server_is_killed(shop: App) -> None:
    first, server = shop.live(), shop.server
    push = shop.pushing()
    push.until("half of it is written")
    server.end(signal.SIGKILL)
    push.wait()
    server.start()
    eventually("it answers again", lambda: shop.get().status == 200, 30)
    assert (shop.live(), orders(shop)) == (first, ["one", "two"])


def test_an_exclusive_update_is_taken_back_when_the_pusher_goes_away(shop: App) -> None:
    first = shop.live()
    push = shop.pushing()
    push.until("half of it is written")
    push.interrupt()
    push.wait()
    eventually("it answers again", lambda: shop.get().status == 200, 30)
    assert (shop.live(), orders(shop)) == (first, ["one", "two"])


def test_data_that_cannot_be_put_back_let_nobody_in_until_they_are(shop: App, tmp_path: Path) -> None:
    """An exclusive one (see the fixture)."""
    server = shop.server
    argv = server.ssh_argv("backup", shop.name)
    archive = subprocess.run(argv, env=server.env, capture_output=True, check=True, timeout=60).stdout
    push = shop.pushing()
    push.until("half of it is written")
    [kept] = server.home.glob(f"node/var/backups/apps/{shop.name}/[0-9]*.backup")
    kept.unlink()
    (tmp_path / "gate").unlink()
    said = push.wait()
    assert said.status == 1
    assert "the data cannot be put back" in said.err
    assert shop.get().status == 503
    advice = f"restore them: restore --kept {kept.stem} --confirm {shop.name} {shop.name}, or push again later"
    assert f"an update was cut short, and the data as they were are not back yet; {advice}" in shop.push().err
    assert advice in server.ssh("run", shop.name, "shop.py").err
    server.ssh("restore", "--confirm", shop.name, shop.name, stdin=archive).ok()
    eventually("everybody is let in", lambda: shop.get().status == 200, 30)
    assert orders(shop) == ["one", "two"]
    (tmp_path / "fail").unlink()
    shop.push().ok()
    assert orders(shop) == ["new:one", "new:two"]


def test_what_a_service_had_is_put_back_though_what_is_live_does_not_name_it(server: Server) -> None:
    app = server.app("again")
    yaml = PYTHON.replace("hello", "shop")
    app.commit("With files", {"app.yaml": yaml + "services: files\n", "shop.py": SHOP})
    app.push().ok()
    orders = server.home / "node/var/lib/apps/again/files/orders"
    orders.write_text("all of them")
    app.commit("Without", {"app.yaml": PYTHON, **hello("none")})
    app.push().ok()
    spoil = "import os\ndef up():\n    open(os.environ['CONFIG_FILES'] + '/orders', 'w').close()\n    raise RuntimeError('no')\n"
    update = "services: files\nupdate: {run: 'spoil:up', exclusive: yes}\n"
    app.commit("With them again", {"app.yaml": yaml + update, "spoil.py": spoil})
    said = app.push()
    assert said.refused("update: spoil:up ended with exit code 1") and "Putting the data back as they were" in said.err
    assert orders.read_text() == "all of them" and app.says() == "none"


NEEDS = """\
import os
TABLE = os.path.join(os.environ["CONFIG_FILES"], "table")
def up():
    open(TABLE, "x").close()
def application(environ, start_response):
    start_response("200 OK" if os.path.exists(TABLE) else "500 Oops", [("Content-Type", "text/plain")])
    return [b"fine"]
"""


def test_a_service_that_is_empty_is_brought_up_to_date_for_the_version_that_is_live(server: Server) -> None:
    """As on a node that was made anew, or is another one."""
    app = server.app("needy")
    app.commit(
        "Needs a table",
        {"app.yaml": PYTHON.replace("hello", "needs") + "services: files\nupdate: needs:up\n", "needs.py": NEEDS},
    )
    app.push().ok()
    assert "Updating" not in server.ssh("redeploy", "needy").ok().text
    server.end()
    for path in (server.home / "node").glob("**/needy"):
        remove(path)
    server.start()
    said = server.ssh("redeploy", "needy", limit=100)
    assert "Updating" in said.ok().text and app.says() == "fine"
    assert "Updating" not in server.ssh("redeploy", "needy").ok().text


def test_an_app_whose_data_cannot_be_put_back_can_be_destroyed_and_pushed_again(server: Server) -> None:
    app = server.app("stuck")
    app.commit("With files", {"app.yaml": PYTHON + "services: files\n", **hello("one")})
    app.push().ok()
    backups = server.home / "node/var/backups/apps/stuck"
    spoil = f"import glob, os\ndef up():\n    [os.truncate(path, 10) for path in glob.glob('{backups}/*')]\n    raise OSError\n"
    update = "services: files\nupdate: {run: 'spoil:up', exclusive: yes}\n"
    app.commit("Spoil", {"app.yaml": PYTHON + update, "spoil.py": spoil})
    assert "the data cannot be put back" in app.push().err
    server.ssh("destroy", "--confirm", "stuck", "stuck").ok()
    app.commit("Without", {"app.yaml": PYTHON + "services: files\n"})
    app.push().ok()
    assert app.says() == "one"
