"""Applications that nobody here wrote, side by side on one node: each works, and none gets at what the others have."""

from __future__ import annotations

import json

import pytest

from . import applications
from .keeper import Yard, yard_on
from .machines import eventually
from .visitor import Browser, WebSocket, get

PROBE = """\
import json, os, pathlib, signal, socket

def read(path): return pathlib.Path(path).read_bytes()

def connect(family, where):
    with socket.socket(family) as one:
        one.settimeout(5)
        one.connect(where)

def ask_redis(family, where):
    with socket.create_connection(where, 5) as one:
        one.sendall(b"KEYS *\\r\\n")
        if one.recv(100).startswith(b"-NOAUTH"):
            raise PermissionError

def tries(name, ports, pids):
    for top in ("/srv/apps", "/var/lib/apps", "/var/log/apps", "/var/cache/apps", "/run/apps"):
        yield f"list {top}", lambda top=top: os.listdir(f"{top}/{name}")
        yield f"write {top}", lambda top=top: pathlib.Path(f"{top}/{name}/burgled").touch()
    for path in (f"/srv/apps/{name}/live/settings", f"/srv/apps/{name}/live/tree/app.yaml", f"/srv/apps/{name}/secret",
                 f"/var/log/gitdeploy/{name}.log", f"/var/lib/gitdeploy/services/{name}/redis.json"):
        yield f"read {path}", lambda path=path: read(path)
    for number in range(1, 4):
        for kind in ("", "-web", "-worker"):
            place = f"/run/apps/{name}/v{number}{kind}.sock"
            yield f"connect {place}", lambda place=place: connect(socket.AF_UNIX, place)
    for port in ports:
        use = connect if port < 25000 else ask_redis  # a service of the app's own is open, and asks who comes
        yield f"connect {port}", lambda use=use, port=port: use(socket.AF_INET, ("127.0.0.1", port))
    for pid in pids:
        yield f"signal {pid}", lambda pid=pid: os.kill(pid, signal.SIGTERM)
        yield f"environ {pid}", lambda pid=pid: read(f"/proc/{pid}/environ")

def done(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"

found = {f"{name}: {what}": done(act) for name, own in TOLD.items() for what, act in tries(name, **own)}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def yard(machines, nodes):
    with yard_on(machines, nodes, "side1") as yard:
        yield yard


@pytest.fixture(scope="module")
def apps(yard: Yard, tmp_path_factory):
    """All of them, deployed."""
    made = {}
    for make in (applications.chat, applications.tasks, applications.express, applications.manual):
        app = made[make.__name__] = yard.server.app(make.__name__)
        app.commit(str(make.__doc__), make(tmp_path_factory.mktemp(make.__name__), app.directory))
        app.push("deploy", "master", limit=500).ok()
    return made


def browser(yard: Yard, name: str) -> Browser:
    return Browser(yard.node.address, 80, f"{name}.localhost")


def test_a_static_site(yard, apps):
    page = get(yard.node, "manual.localhost", "/quickstart.html")
    assert page.status == 200 and "A minimal Flask application looks something like this" in page.text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8" and page.headers["ETag"]
    assert get(yard.node, "manual.localhost", "/").text.count("Welcome to Flask") > 0
    assert get(yard.node, "manual.localhost", "/nothing.html").status == 404


def test_a_server_for_node(yard, apps):
    found = browser(yard, "express").ask("GET", "/users")
    assert found.status == 200 and "<li>Tobi</li>" in found.text
    assert found.headers["X-Powered-By"] == "Express"


def test_a_task_is_done_by_the_worker(yard, apps):
    visitor = browser(yard, "tasks")
    assert "Celery" in visitor.get("/").text
    asked = json.loads(visitor.post("/tasks/add", {"a": "19", "b": "23"}, form="").text)
    result = f"/tasks/result/{asked['result_id']}"
    eventually("it is done", lambda: json.loads(visitor.get(result).text)["ready"])
    assert json.loads(visitor.get(result).text) == {"ready": True, "successful": True, "value": 42}
    assert " worker | " in yard.server.ssh("logs", "tasks", "-n", "1000").ok().out


def test_a_task_goes_on_through_a_switch(yard, apps):
    """Celery ends when it has done what it is about; the worker of the new release takes the next one."""
    visitor = browser(yard, "tasks")
    slow = json.loads(visitor.post("/tasks/process", {"total": "6"}, form="").text)["result_id"]
    eventually("it is about it", lambda: json.loads(visitor.get(f"/tasks/result/{slow}").text)["value"])
    apps["tasks"].commit("The same once more", {"more.txt": "more"})
    apps["tasks"].push("deploy", "master", limit=500).ok()
    quick = json.loads(visitor.post("/tasks/add", {"a": "1", "b": "2"}, form="").text)["result_id"]
    eventually("both are done", lambda: all(
        json.loads(visitor.get(f"/tasks/result/{one}").text)["successful"] for one in (slow, quick)))  # fmt: skip
    assert json.loads(visitor.get(f"/tasks/result/{slow}").text)["value"] == {"current": 6, "total": 6}


def said(chatter: WebSocket) -> str:
    kind, text = chatter.hear()
    assert kind == 1, (kind, text)
    return json.loads(text)["body"]


def test_a_chat_goes_on_in_the_next_release(yard, apps):
    def enter() -> WebSocket:
        return WebSocket(yard.node, "chat.localhost", "/chatsocket")

    assert "chatsocket" in get(yard.node, "chat.localhost", "/static/chat.js").text
    with enter() as alice, enter() as bob:
        alice.say('{"body": "hello"}')
        assert said(alice) == said(bob) == "hello"
        template = apps["chat"].directory / "websocket/templates/message.html"
        apps["chat"].commit("Louder", {"websocket/templates/message.html": template.read_text() + "<b>!</b>"})
        apps["chat"].push("deploy", "master", limit=500).ok()
        with enter() as carol:
            carol.say('{"body": "again"}')
            kind, text = carol.hear()
            assert kind == 1 and json.loads(text)["html"].endswith("<b>!</b>")
        alice.wire.settimeout(60)
        assert alice.file.read(2) in (b"", b"\x88\x00"), "it ends, and nothing else comes"


def owned(yard: Yard, name: str) -> dict[str, list[int]]:
    """The ports and processes of an app's user."""
    uid = yard.node.ssh("id", "--user", f"app-{name}").strip()
    ports = [
        int(line.split()[3].rpartition(":")[2])
        for line in yard.node.ssh("ss", "--no-header", "--listening", "--tcp", "--numeric", "--extended").splitlines()
        if f"uid:{uid} " in line
    ]
    pids = [int(word) for word in yard.node.ssh("ps", "-o", "pid=", "-u", uid, check=False).split()]
    return {"ports": ports, "pids": pids}


def probe(yard: Yard, name: str, told: dict[str, dict[str, list[int]]]) -> set[str]:
    """What an app gets at, of all that it tries."""
    script = f"TOLD = {json.dumps(told)}\n{PROBE}"
    answer = yard.server.ssh("run", name, "python", "-", stdin=script.encode()).ok()
    found = json.loads(answer.out)
    assert len(found) > 15 * len(told)
    return {what for what, how in found.items() if how == "done"}


def test_each_gets_at_what_it_has(yard, apps):
    """So the next test tries what there is."""
    for name in apps:
        ports = owned(yard, name)["ports"]
        found = probe(yard, name, {name: {"ports": ports, "pids": []}})
        home, kept = f"/srv/apps/{name}", f"/var/lib/apps/{name}"
        assert found >= {f"{name}: {what}" for what in (
            "list /srv/apps", "list /var/lib/apps", "list /var/log/apps", "list /var/cache/apps", "write /var/lib/apps",
            f"read {home}/live/tree/app.yaml", f"read {home}/secret")}, (name, found)  # fmt: skip
        assert {f"{name}: connect {port}" for port in ports if port < 25000} <= found
        yard.node.ssh("rm", f"{kept}/burgled")


def test_none_gets_at_what_the_others_have(yard, apps):
    has = {name: owned(yard, name) for name in apps}
    assert all(has[name]["ports"] for name in ("chat", "tasks", "express")), has
    assert all(has[name]["pids"] for name in ("chat", "tasks", "express")), has
    for name in apps:
        told = {other: own for other, own in has.items() if other != name}
        assert probe(yard, name, told) == set(), name
    assert {name: owned(yard, name)["pids"] for name in apps} == {name: has[name]["pids"] for name in apps}


def test_their_logs_are_apart(yard, apps):
    def log(name: str) -> str:
        path = yard.node.root / "var/log/gitdeploy" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    eventually("the worker says who it is", lambda: "celery@" in log("tasks"))
    eventually("the chat says what it got", lambda: "got message" in log("chat"))
    assert [name for name in apps if "celery@" in log(name)] == ["tasks"]
    assert [name for name in apps if "got message" in log(name)] == ["chat"]
    for name in apps:
        yard.server.ssh("verify", name).ok()
