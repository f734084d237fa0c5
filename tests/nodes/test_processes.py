"""Process types on real nodes: workers, and programs behind a path, by systemd, nginx and the firewall."""

from __future__ import annotations

import json
import socket

import pytest

from ..functional.session import PYTHON, eventually, hello
from ..functional.test_processes import ECHO, LIBRARY, PORT
from .visitor import get, says

WORKER = """\
import os, signal, sys, time
from greeting import WORD
place = "/var/lib/apps/%s/" % os.environ["APP_NAME"]
def end(number, frame):
    with open(place + "ended", "a") as file:
        file.write("%s " % os.environ["APP_RELEASE"])
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with open(place + "began", "a") as file:
    file.write("%s " % os.environ["APP_RELEASE"])
print("working", WORD, os.environ.get("SET_EARLY"), flush=True)
while True:
    time.sleep(0.05)
"""
DESCRIPTION = f"{PYTHON}paths: lib\nprocesses:\n  worker: bin/work.py\n"


@pytest.fixture(scope="module")
def web1(web):
    return web[0]


def processes(app):
    rows = json.loads(app.server.ssh("ps", app.name, "--json").ok().out)["processes"]
    return sorted((row["type"], row["state"]) for row in rows if row["node"] == "web1")


def said(node, app, name):
    path = node.root / "var/lib/apps" / app.name / name
    return path.read_text() if path.exists() else ""


def test_workers_follow_the_switch_the_scale_and_a_reboot(shop, web1, web):
    description = DESCRIPTION + "  echo: {run: python3 echo.py, path: /echo}\n"
    files = {**hello("one"), **LIBRARY, "app.yaml": description, "bin/work.py": WORKER, "echo.py": ECHO}
    shop.commit("Work", files)
    shop.push().ok()
    eventually("it works", lambda: said(web1, shop, "began") == "v1 ")
    assert processes(shop) == [("echo", "running"), ("web", "running"), ("worker", "running")]
    eventually(
        "it is in the log", lambda: "v1 worker | working hello yes" in shop.server.ssh("logs", shop.name).ok().out
    )
    log = web1.root / "var/log/gitdeploy" / f"{shop.name}.log"
    eventually("and in the file", lambda: "Z v1 worker | working hello yes\n" in log.read_text())

    shop.commit("Work on", {"hello.py": hello("two")["hello.py"]})
    shop.push().ok()
    eventually("the next one works", lambda: said(web1, shop, "began") == "v1 v2 ")
    eventually("alone", lambda: said(web1, shop, "ended") == "v1 ")
    scale = shop.server.ssh("ps:scale", shop.name, "worker=2").ok()
    assert scale.out == "worker=2\n"
    eventually("two work", lambda: said(web1, shop, "began") == "v1 v2 v2 ")
    shop.server.ssh("rollback", shop.name).ok()
    eventually("two work, of what is live", lambda: said(web1, shop, "began").count("v1") == 3)  # v3 has v1's processes
    eventually("alone", lambda: said(web1, shop, "ended").count("v2") == 2)
    web1.cycle()
    eventually("two work again", lambda: said(web1, shop, "began").count("v1") == 5, 60)
    eventually("ps says so", lambda: processes(shop).count(("worker", "running")) == 2, 60)
    assert says(web1, shop, "/echo") == "plain"
    shop.server.ssh("ps:scale", shop.name, "worker=0").ok()
    eventually("none works", lambda: processes(shop) == [("echo", "running"), ("web", "running")])
    shop.server.ssh("verify", shop.name).ok()


def test_a_worker_that_does_not_stay_up_is_told_of_and_is_down(shop, web1):
    files = {
        **hello("one"),
        "app.yaml": DESCRIPTION.replace("paths: lib\n", ""),
        "bin/work.py": "raise SystemExit('no queue')\n",
    }
    shop.commit("Fail", files)
    done = shop.push().ok()
    assert "web1: worker does not stay up: no queue" in done.text
    assert says(web1, shop) == "one"
    eventually("it is down", lambda: ("worker", "down") in processes(shop), 60)


def upgraded(node, host):
    """A connection below /chat that speaks another protocol than HTTP by now."""
    made = socket.create_connection((node.address, 80), timeout=30)
    made.sendall(f"GET /chat/x HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += made.recv(1) or pytest.fail(f"closed after {head!r}")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return made


BURGLAR = """\
import json, socket

def connect(family, where):
    with socket.socket(family) as one:
        one.settimeout(5)
        one.connect(where)

def application(environ, start_response):
    found = {}
    for name, family, where in [
        ("port", socket.AF_INET, ("127.0.0.1", int(environ["QUERY_STRING"] or 1))),
        ("socket", socket.AF_UNIX, "/run/apps/%s/v1-%s.sock"),
    ]:
        try:
            connect(family, where)
            found[name] = "connected"
        except OSError as error:
            found[name] = type(error).__name__
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]
"""


def test_a_process_behind_a_path_lives_through_switches_and_is_its_apps_own(shop, web1, web):
    host = f"{shop.name}.localhost"
    chat, api = "{run: python3 chat.py, path: /chat}", "{run: serve.py $PORT, path: /chat/api}"
    description = f"{PYTHON}processes:\n  chat: {chat}\n  api: {api}\n"
    shop.commit("Chat", {**hello("one"), "app.yaml": description, "chat.py": ECHO, "serve.py": PORT})
    shop.push().ok()
    assert says(web1, shop) == "one" and says(web1, shop, "/chat") == "plain" and says(web1, shop, "/chatter") == "one"
    web1.ssh("rm", "-r", f"/var/cache/apps/{shop.name}/pycache")  # a cache
    web1.ssh("systemctl", "restart", f"app-{shop.name}_api@v1.service")
    [port, path, release] = says(web1, shop, "/chat/api/x?y=1").split()
    assert (path, release) == ("/chat/api/x?y=1", "v1") and 16000 <= int(port) < 25000
    assert processes(shop) == [("api", "running"), ("chat", "running"), ("web", "running")]

    burglar = shop.server.app(shop.name[:30] + "-burglar")
    burglar.commit("Try it", {**hello(""), "hello.py": BURGLAR % (shop.name, "api")})
    burglar.push().ok()
    tried = json.loads(get(web1, f"{burglar.name}.localhost", f"/?{port}").body)
    assert tried == {"port": "ConnectionRefusedError", "socket": "PermissionError"}
    with pytest.raises(OSError):
        socket.create_connection((web1.address, int(port)), timeout=5)
    assert web1.ssh("python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))") == ""

    with upgraded(web1, host) as first, first.makefile("rb") as lines:
        first.sendall(b"hello\n")
        assert lines.readline() == b"v1 HELLO\n"
        shop.commit("Chat on", {"hello.py": hello("two")["hello.py"]})
        shop.push().ok()
        assert lines.readline() == b"BYE\n" and lines.readline() == b""
    with upgraded(web1, host) as second, second.makefile("rb") as lines:
        second.sendall(b"hello\n")
        assert lines.readline() == b"v2 HELLO\n"
    assert says(web1, f"v1.{host}", "/chat/api/x").endswith(" v1")
    web1.ssh("systemctl", "kill", "--kill-whom=all", "--signal=SIGKILL", f"app-{shop.name}_chat@v2.service")
    assert says(web1, shop, "/chat") == "plain"


def test_a_process_that_does_not_start_refuses_the_push(shop, web1):
    description = f"{PYTHON}processes:\n  chat: {{run: chat.py, path: /chat}}\n"
    shop.commit("Chat", {**hello("one"), "app.yaml": description, "chat.py": "raise SystemExit('out of order')\n"})
    done = shop.push()
    assert done.refused("chat does not start: ") and "out of order" in done.text
    assert web1.ssh("sh", "-c", f"ls /etc/systemd/system | grep -c '^app-{shop.name}[-_]' || true") == "0\n"


def test_a_push_that_is_refused_leaves_a_worker_what_it_was(shop, web1):
    shop.commit(
        "Work",
        {
            **hello("one"),
            "app.yaml": f"{PYTHON}processes:\n  chat: bin/chat.sh\n",
            "bin/chat.sh": "#!/bin/sh\nexec sleep 1000\n",
        },
    )
    shop.push().ok()
    unit = ("cat", f"/etc/systemd/system/app-{shop.name}_chat@.service")
    before = web1.ssh(*unit)
    assert "Restart=always" in before
    behind = f"{PYTHON}processes:\n  chat: {{run: chat.py, path: /chat}}\n"
    shop.commit("Chat", {"app.yaml": behind, "chat.py": "raise SystemExit('out of order')\n"})
    assert shop.push().refused("chat does not start: ")
    assert web1.ssh(*unit) == before
    assert ("chat", "running") in processes(shop)
