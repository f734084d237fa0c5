"""Services without a machine: files on the embedded node, and what is somewhere else, by a URL from a config var."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .session import PYTHON, App, Server, eventually, run

TELLS = """\
import json, os
def application(environ, start_response):
    place = os.environ.get("CONFIG_FILES")
    if place and environ["PATH_INFO"].startswith("/write/"):
        with open(place + "/" + environ["PATH_INFO"][7:], "w") as file:
            file.write("written")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(dict(os.environ)).encode()]
"""


def describe(services: str) -> dict[str, str]:
    return {"app.yaml": f"{PYTHON}services: {services}\n", "hello.py": TELLS}


def told(shop: App, environment: str = "") -> dict[str, str]:
    found: dict[str, str] = json.loads(shop.get("/", environment).text)
    return found


def test_files_stay_when_releases_go(shop: App, server: Server, tmp_path: Path) -> None:
    shop.commit("Keep files", {**describe("files, public_files"), "static/a.txt": "of the tree"})
    shop.push().ok()
    shop.push("staging", "master").ok()
    environ = told(shop)
    place, public = Path(environ["CONFIG_FILES"]), Path(environ["CONFIG_PUBLIC_FILES"])
    shop.get("/write/note")
    for path, text in {"a.txt": "hidden", "b.txt": "stored", f"{shop.name}.localhost/c.txt": "for this host"}.items():
        (public / path).parent.mkdir(exist_ok=True)
        (public / path).write_text(text)
    (public / "link.txt").symlink_to("/etc/passwd")
    (public / "x.php").write_text("<?php")
    assert [shop.get(path).text for path in ("/a.txt", "/b.txt", "/c.txt", "/x.php")] == [
        "of the tree", "stored", "for this host", "<?php",
    ]  # fmt: skip
    assert shop.get("/link.txt").text.startswith("{")  # it is the application's turn
    shop.commit("Once more", {"more.txt": ""})
    shop.push().ok()
    assert told(shop)["CONFIG_FILES"] == str(place) and (place / "note").read_text() == "written"
    assert shop.get("/b.txt").text == "stored"
    # over ssh, and on the server's own machine
    over_ssh, here = tmp_path / "ssh", tmp_path / "here"
    with over_ssh.open("wb") as file:
        subprocess.run(server.ssh_argv("backup", shop.name), env=server.env, stdout=file, check=True, timeout=60)
    argv = [*here_argv(server), "backup", shop.name, "files"]
    with here.open("wb") as file:
        subprocess.run(argv, env=server.env, stdout=file, check=True, timeout=60, cwd=server.top)
    server.ssh("clear", shop.name, "files", "public_files", "--confirm", shop.name).ok()
    assert list(place.iterdir()) == [] and list(public.iterdir()) == []
    server.ssh("restore", shop.name, "--confirm", shop.name, stdin=over_ssh.read_bytes()).ok()
    assert (place / "note").read_text() == "written" and (public / "link.txt").is_symlink()
    for words in (("backup", shop.name, "filez"), ("clear", shop.name, "filez", "--confirm", shop.name)):
        done = server.ssh(*words)
        assert done.status == 3 and "there is no service 'filez'; did you mean files?" in done.err
    (place / "note").write_text("other")
    server.gitdeploy("restore", shop.name, "--confirm", shop.name, stdin=here.read_bytes()).ok()
    assert (place / "note").read_text() == "written"
    done = server.ssh("clone-data", shop.name, f"staging/{shop.name}", "--confirm", f"staging/{shop.name}").ok()
    assert "files, public_files" in done.out
    assert (Path(told(shop, "staging")["CONFIG_FILES"]) / "note").read_text() == "written"


def here_argv(server: Server) -> list[str]:
    return [sys.executable, "-m", "gitdeploy", "--home", str(server.home)]


def test_a_backup_that_is_kept_on_the_node(shop: App, server: Server) -> None:
    """A deploy has them made; here the node is asked as it asks."""
    shop.commit("Keep files", describe("files"))
    shop.push().ok()
    assert "no backup of" in server.ssh("backups", shop.name).ok().out
    place = Path(told(shop)["CONFIG_FILES"])
    (place / "note").write_text("before")
    about = {"app": shop.name, "environment": "production"}
    request = {"id": 1, "verb": "backup", "app": shop.name, "services": [], "about": about, "keep": True}
    argv = [sys.executable, "-m", "buildless.node", "--root", str(server.home / "node")]
    done = run(argv, server.env, server.top, json.dumps(request).encode() + b"\n").ok()
    name = json.loads(done.out)["ok"]["file"]
    (place / "note").write_text("after")
    assert name in server.ssh("backups", shop.name).ok().out
    server.ssh("restore", shop.name, "--kept", name, "--confirm", shop.name).ok()
    assert (place / "note").read_text() == "before"
    assert name in server.ssh("backups", shop.name).ok().out
    done = server.ssh("restore", shop.name, "--kept", "20200101T000000.000Z", "--confirm", shop.name)
    assert done.status == 1 and "see: backups" in done.err
    done = server.ssh("restore", shop.name, "--kept", "../../../x", "--confirm", shop.name)
    assert done.status == 1 and "is no name of a backup here; see: backups APP" in done.err


def test_a_no_comes_before_the_end_of_what_is_sent(server: Server) -> None:
    much = bytes(8_000_000)
    for done in (
        server.ssh("restore", "nosuch", "--confirm", "nosuch", stdin=much),
        server.gitdeploy("restore", "nosuch", "--confirm", "nosuch", stdin=much),
    ):
        assert done.status == 3 and "there is no app 'nosuch'" in done.err, done.text


def test_a_large_backup_passes_through_in_pieces(shop: App, server: Server, tmp_path: Path) -> None:
    shop.commit("Keep files", describe("files"))
    shop.push().ok()
    place = Path(told(shop)["CONFIG_FILES"])
    for number in range(3):
        (place / f"{number}.bin").write_bytes(bytes([number]) * 20_000_000)
    assert server.process is not None
    before = peak(server.process.pid)
    saved = tmp_path / "saved"
    with saved.open("wb") as file:
        subprocess.run(server.ssh_argv("backup", shop.name), env=server.env, stdout=file, check=True, timeout=100)
    server.ssh("clear", shop.name, "files", "--confirm", shop.name).ok()
    with saved.open("rb") as file:
        argv = server.ssh_argv("restore", shop.name, "--confirm", shop.name)
        subprocess.run(argv, env=server.env, stdin=file, check=True, timeout=100)
    assert (place / "2.bin").read_bytes() == b"\2" * 20_000_000
    assert peak(server.process.pid) - before < 30_000_000


def peak(pid: int) -> int:
    """The most bytes of memory that a process has had."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_a_reader_who_goes_away_leaves_nothing(shop: App, server: Server) -> None:
    shop.commit("Keep files", describe("files"))
    shop.push().ok()
    place = Path(told(shop)["CONFIG_FILES"])
    (place / "large.bin").write_bytes(bytes(30_000_000))
    with subprocess.Popen(server.ssh_argv("backup", shop.name), env=server.env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(100_000)
        process.kill()
    argv = server.ssh_argv("restore", shop.name, "--confirm", shop.name)
    with subprocess.Popen(argv, env=server.env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(3_000_000))
        process.stdin.flush()
        process.kill()
    server.ssh("apps").ok()
    shop.push().ok()
    assert (place / "large.bin").stat().st_size == 30_000_000
    # what was sent, and was to be restored, goes with who sent it
    backups = server.home / "node" / "var" / "backups" / "apps" / shop.name
    eventually("no file is left", lambda: list(backups.iterdir()) == [], 10)


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        ("postgresql", "postgresql cannot be installed on the server's own machine, which is not root there; set the config var"),
        ("redis", "redis cannot be installed on the server's own machine"),
        ("couchdb", "Debian has no package of couchdb; set the config var COUCHDB_URL to the URL of one: config:set"),
        ("mongodb", "Debian has no package of mongodb; set the config var MONGODB_URL"),
        ("filez", "there is no service \"filez\"; did you mean files?"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_advice(shop: App, services: str, reason: str) -> None:
    shop.commit("Want much", describe(services))
    assert shop.push().refused(reason)
    assert shop.name not in shop.server.ssh("apps").ok().out
    assert not (shop.server.home / "passwords" / shop.name).exists()


def test_a_service_that_is_somewhere_else(shop: App, server: Server) -> None:
    shop.commit("Want much", describe("postgresql, redis, couchdb"))
    urls = {
        "DATABASE_URL": "postgres://alice:very-secret-word@db.example.com:6432/orders",
        "REDIS_URL": "rediss://:another-secret@cache.example.com",
        "COUCHDB_URL": "https://couch.example.com/orders",
    }
    wrong = {**urls, "DATABASE_URL": "db.example.com"}
    server.ssh("config:set", shop.name, *(f"{name}={url}" for name, url in wrong.items())).ok()
    assert shop.push().refused("the config var DATABASE_URL is no URL of postgresql: it does not begin with")
    server.ssh("config:set", shop.name, f"DATABASE_URL={urls['DATABASE_URL']}").ok()
    shop.push().ok()
    environ = told(shop)
    assert {name: environ[name] for name in urls} == urls
    assert environ["CONFIG_PG_HOST"] == "db.example.com" and environ["CONFIG_PG_PORT"] == "6432"
    assert (environ["CONFIG_PG_USER"], environ["CONFIG_PG_PASSWORD"]) == ("alice", "very-secret-word")
    assert environ["CONFIG_PG_SQLALCHEMY"] == "postgresql://alice:very-secret-word@db.example.com:6432/orders"
    assert environ["CONFIG_REDIS_HOST"] == "cache.example.com" and environ["CONFIG_COUCHDB_DB"] == "orders"
    done = server.ssh("backup", shop.name)
    assert done.status == 3 and "has no service on a node that keeps anything" in done.err
