"""Applications that nobody here wrote, side by side on one node: each works, and none gets at what the others have."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import pytest

from . import applications, burglar
from .keeper import Yard, yard_on
from .machines import eventually
from .visitor import Browser, WebSocket, get


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


OPEN_TO_NOBODY = [
    (r"(list|write) /run/apps/|connect /run/apps/|read /var/(lib|log)/gitdeploy/", "EACCES"),
    (r"postgresql without", "fe_sendauth: no password supplied"),
    (r"postgresql by the socket", 'Peer authentication failed for user "USER"'),
    (r"mysql without|mysql by the socket", "1045"),
    (r"redis without", "-NOAUTH"),
]
"""What is refused to the app itself as well: by what its try begins with, and how."""

OTHERS = [
    *OPEN_TO_NOBODY,
    (r"(list|write|read) /(srv|var)/|environ ", "ENOENT"),
    (r"connect /run/service-", "EACCES"),
    (r"connect \d", "ECONNREFUSED"),
    (r"signal ", "EPERM"),
    (r"postgresql with its own password", 'password authentication failed for user "USER"'),
    (r"postgresql as itself", 'permission denied for database "NAME"'),
    (r"mysql with its own password", "1045"),
    (r"mysql as itself", "1044"),
    (r"redis with its own password", "-WRONGPASS"),
]
ITS_OWN = [*OPEN_TO_NOBODY, (r"write /srv/", "EROFS"), (r"write /var/cache/", "EACCES"), (r"", burglar.DONE)]
VARIABLES = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('CONFIG_')}))"


def has(yard: Yard, name: str) -> dict[str, Any]:
    """What there is of an app, as root finds it: real paths, ports and processes, and who it is to its services."""
    uid = yard.node.ssh("id", "--user", f"app-{name}").strip()
    listening = yard.node.ssh("ss", "--no-header", "--listening", "--tcp", "--numeric", "--extended").splitlines()
    tops = ("/srv/apps", "/var/lib/apps", "/var/log/apps", "/var/cache/apps", "/run/apps")
    sockets = yard.node.ssh("find", "/run/apps", "-path", f"/run/apps/{name}/*", "-type", "s").split()
    files = [f"/srv/apps/{name}/{file}" for file in ("live/settings", "live/tree/app.yaml", "secret")]
    services = yard.node.ssh("find", "/var/lib/gitdeploy/services", "-path", f"*/{name}/*").split()
    logs = yard.node.ssh("find", "/var/log/gitdeploy", "-name", f"{name}.log").split()
    variables = json.loads(yard.server.ssh("run", name, "python", "-", stdin=VARIABLES.encode()).ok().out)
    ports = {int(line.split()[3].rpartition(":")[2]) for line in listening if f"uid:{uid} " in line}
    return {
        "directories": yard.node.ssh("find", *tops, "-maxdepth", "1", "-name", name).split(),
        "files": [*yard.node.ssh("ls", *files).split(), *services, *logs],
        "sockets": sockets + [text for key, text in variables.items() if key == "CONFIG_MEMCACHED_SOCKET"],
        "ports": sorted(ports - {int(variables.get("CONFIG_REDIS_PORT", 0))}),  # that one is open, and asks who comes
        "pids": [int(word) for word in yard.node.ssh("ps", "-o", "pid=", "-u", uid, check=False).split()],
        "variables": {key: text for key, text in variables.items() if "PASSWORD" not in key and "://" not in text},
    }


def expected(rules: list[tuple[str, str]], what: str) -> str:
    return next(how for beginning, how in rules if re.match(beginning, what))


def test_each_gets_at_what_it_has_and_at_nothing_of_the_others(yard, apps):
    """The same tries, of the same program and at the same time, at what it has itself: so they try what there is."""
    told = {name: has(yard, name) for name in apps}
    kinds = {name: {key for key, found in own.items() if found} for name, own in told.items()}
    everything = {"directories", "files", "sockets", "ports", "pids", "variables"}
    assert kinds == {"chat": everything, "tasks": everything - {"ports"}, "express": everything,
                     "manual": {"directories", "files"}}  # fmt: skip
    for path in (path for own in told.values() for path in own["sockets"]):
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
        yard.node.ssh("python3", "-c", connect)  # nginx gets at them, and root: somebody listens there
    script = f"{inspect.getsource(burglar)}\nmain(json.loads({json.dumps(told)!r}))\n"
    tried: dict[str, set[str]] = {"own": set(), "others": set()}
    for name in apps:
        answer = yard.server.ssh("run", name, "python", "-", stdin=script.encode()).ok()
        for other, found in json.loads(answer.out).items():
            rules = ITS_OWN if other == name else OTHERS
            assert found == {what: expected(rules, what) for what in found}, f"{name} at what {other} has"
            tried["own" if other == name else "others"].update(found)
    accounts = {
        *(f"postgresql {how}" for how in ("without a password", "by the socket", "with its own password", "as itself")),
        *(f"mysql {how}" for how in ("without a password", "by the socket", "with its own password", "as itself")),
        *(f"redis {how}" for how in ("without a password", "with its own password")),
    }
    assert accounts <= tried["own"] and accounts <= tried["others"]
    for name in apps:
        assert set(told[name]["pids"]) <= set(has(yard, name)["pids"])  # a release that slept may have woken up


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
