"""Process types beside the web process, and applications that are a command, on the embedded node: real programs, real sockets."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess

import pytest

from .session import PYTHON, App, eventually, hello

WORKER = """\
import os, signal, sys, time
from greeting import WORD
place = sys.argv[1]
def end(number, frame):
    with open(place + ".ended", "a") as file:
        file.write("%s " % os.environ["APP_RELEASE"])
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with open("%s.%d" % (place, os.getpid()), "w") as file:
    file.write("%s %s %s" % (os.environ["APP_RELEASE"], WORD, os.environ.get("SET_EARLY")))
print("working", flush=True)
while True:
    time.sleep(0.05)
"""
LIBRARY = {
    "lib/greeting.py": "WORD = 'hello'\n",
    "lib/sitecustomize.py": "import os\nos.environ['SET_EARLY'] = 'yes'\n",
}
PORT = """\
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("%s %s %s" % (sys.argv[1], self.path, os.environ["APP_RELEASE"])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
ECHO = """\
import os, signal, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        head = b""
        while not head.endswith(b"\\r\\n\\r\\n"):
            head += self.rfile.readline()
        if b"upgrade: shout" not in head.lower():
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nplain")
            return
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: shout\\r\\n\\r\\n")
        open_ones.append(self.wfile)
        while line := self.rfile.readline():
            self.wfile.write(os.environ["APP_RELEASE"].encode() + b" " + line.upper())
open_ones = []
def end(number, frame):
    for one in open_ones:
        one.write(b"BYE\\n")
    os._exit(0)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
signal.signal(signal.SIGTERM, end)
Server(os.environ["SOCKET"], Handler).serve_forever()
"""


def working(place) -> dict[int, str]:
    """The workers that there are: what each wrote."""
    found = {}
    for path in place.parent.glob(f"{place.name}.[0-9]*"):
        if os.path.exists(f"/proc/{path.name.rpartition('.')[2]}"):
            found[int(path.name.rpartition(".")[2])] = path.read_text()
    return found


def processes(shop: App) -> list[tuple[str, str]]:
    rows = json.loads(shop.server.ssh("ps", shop.name, "--json").ok().out)["processes"]
    return [(row["type"], row["state"]) for row in rows]


def with_worker(shop: App, command: str, more: str = "") -> dict[str, str]:
    description = f"{PYTHON}paths: lib\nprocesses:\n  worker:\n    run: {command}\n{more}"
    return {**hello("one"), **LIBRARY, "app.yaml": description, "bin/work.py": WORKER}


def test_a_worker_is_started_by_the_switch_and_ended_by_the_next(shop: App) -> None:
    place = shop.server.top / "w1"
    shop.commit("Work", with_worker(shop, f"bin/work.py {place}"))
    shop.push().ok()
    eventually("it works", lambda: list(working(place).values()) == ["v1 hello yes"])
    assert ("worker", "running") in processes(shop) and ("web", "running") in processes(shop)
    assert "v1 worker | working" in shop.server.ssh("logs", shop.name).ok().out
    shop.commit("Work on", {"hello.py": hello("two")["hello.py"]})
    shop.push().ok()
    eventually("the next one works, alone", lambda: list(working(place).values()) == ["v2 hello yes"])
    assert place.with_name("w1.ended").read_text() == "v1 "


def test_what_is_only_prepared_has_no_worker(shop: App) -> None:
    place = shop.server.top / "w2"
    shop.commit("Work", with_worker(shop, f"bin/work.py {place}"))
    shop.push().ok()
    eventually("it works", lambda: list(working(place).values()) == ["v1 hello yes"])
    shop.commit("Work on", {"hello.py": hello("two")["hello.py"]})
    shop.push("deploy", "master:prepare").ok()
    assert list(working(place).values()) == ["v1 hello yes"]


def test_a_worker_that_does_not_stay_up_is_told_of_and_is_down(shop: App) -> None:
    files = with_worker(shop, "bin/work.py x")
    shop.commit("Fail", {**files, "bin/work.py": "raise SystemExit('no queue here')\n"})
    done = shop.push().ok()
    assert "worker does not stay up: no queue here" in done.text
    assert done.text.count("no queue here") == 1
    assert shop.says() == "one"
    eventually("it is down", lambda: ("worker", "down") in processes(shop), 30)


def test_workers_are_counted_and_again_after_a_restart(shop: App) -> None:
    place = shop.server.top / "w3"
    shop.commit("Work", with_worker(shop, f"bin/work.py {place}", "    count: 2\n"))
    shop.push().ok()
    scale = lambda *words: shop.server.ssh("ps:scale", shop.name, *words)  # noqa: E731
    assert scale().ok().out == "worker=2\n"
    eventually("two work", lambda: len(working(place)) == 2)
    assert scale("worker=3").ok().out == "worker=3\n"
    eventually("three work", lambda: len(working(place)) == 3)
    assert scale("worker=1").ok().out == "worker=1\n"
    eventually("one works", lambda: len(working(place)) == 1)
    shop.commit("Work on", {"hello.py": hello("two")["hello.py"]})
    shop.push().ok()
    eventually("one works, of v2", lambda: list(working(place).values()) == ["v2 hello yes"])
    shop.server.end()
    shop.server.start()
    eventually("one works again", lambda: list(working(place).values()) == ["v2 hello yes"])
    assert shop.server.ssh("ps:scale", shop.name, "worker=0").ok().out == "worker=0\n"
    eventually("none works", lambda: working(place) == {})
    assert "did you mean worker?" in scale("workr=1").text
    assert "is no count of workers" in scale("worker=many").text
    assert "how many of it each node has is processes of web: in gitdeploy.yaml" in scale("web=2").text


def test_a_count_is_taken_back_and_one_of_a_worker_that_is_gone_is_told_of(shop: App) -> None:
    place = shop.server.top / "w4"
    shop.commit("Work", with_worker(shop, f"bin/work.py {place}", "    count: 2\n"))
    shop.push().ok()
    scale = lambda *words: shop.server.ssh("ps:scale", shop.name, *words)  # noqa: E731
    assert scale("worker=4").ok().out == "worker=4\n"
    assert scale("worker=").ok().out == "worker=2\n"
    eventually("as many work as app.yaml says", lambda: len(working(place)) == 2)
    scale("worker=4").ok()
    (described,) = [text for name, text in with_worker(shop, f"bin/work.py {place}").items() if name == "app.yaml"]
    shop.commit("Call it jobs", {"app.yaml": described.replace("worker:", "jobs:")})
    advice = f"ps:scale {shop.name} worker="
    assert f"warning: worker=4 was said with ps:scale, and this version has no such worker; to drop that: {advice}" in (
        " ".join(shop.push().ok().text.replace("remote:", "").split())
    )
    assert scale().ok().out == (
        f"jobs=1\nworker=4 is kept, and what is live has no such worker; to drop that: {advice}\n"
    )
    assert scale("worker=").ok().out == "jobs=1\n"
    assert "has no process type 'worker'" in scale("worker=").text
    shop.commit("More", {"more.txt": ""})
    assert "ps:scale" not in shop.push().ok().text


def test_an_application_that_is_a_command_with_files_in_front(shop: App) -> None:
    description = "platform: command\ncommand: python3 serve.py one\n"
    shop.commit("Serve", {"app.yaml": description, "serve.py": PORT, "static/a.txt": "a file"})
    shop.push().ok()
    assert shop.get("/x?y=1").text == "one /x?y=1 v1" and shop.get("/a.txt").text == "a file"
    shop.commit("Serve on", {"app.yaml": description.replace("one", "two")})
    shop.push().ok()
    assert shop.get("/").text == "two / v2"
    assert ("web", "running") in processes(shop)
    shop.server.ssh("rollback", shop.name).ok()
    assert shop.get("/").text.startswith("one / ")


def test_a_command_that_does_not_listen_is_refused_with_its_last_words(shop: App) -> None:
    files = {"app.yaml": "platform: command\ncommand: serve.py\n", "serve.py": "raise SystemExit('no such database')\n"}
    shop.commit("Serve", files)
    done = shop.push()
    assert done.refused("the application does not start: ") and "no such database" in done.text
    shop.commit("Serve", {"app.yaml": "platform: command\ncommand: srve one\n"})
    assert shop.push().refused("there is no such file in the tree, and no such program is installed")


def test_a_process_answers_below_its_path_and_lives_through_switches(shop: App) -> None:
    chat, api = "{run: python3 chat.py, path: /chat}", "{run: serve.py $PORT, path: /chat/api}"
    description = f"{PYTHON}processes:\n  chat: {chat}\n  api: {api}\n"
    shop.commit("Chat", {**hello("one"), "app.yaml": description, "chat.py": ECHO, "serve.py": PORT})
    shop.push().ok()
    assert shop.says() == "one" and shop.get("/chat").text == "plain" and shop.get("/chatter").text == "one"
    assert shop.get("/chat/api/x").text.endswith(" /chat/api/x v1")
    assert dict(processes(shop)) == {"web": "running", "chat": "running", "api": "running"}
    with upgraded(shop) as first, first.makefile("rb") as lines:
        first.sendall(b"hello\n")
        assert lines.readline() == b"v1 HELLO\n"
        shop.commit("Chat on", {"hello.py": hello("two")["hello.py"]})
        shop.push().ok()
        assert lines.readline() == b"BYE\n" and lines.readline() == b""
    with upgraded(shop) as second, second.makefile("rb") as lines:
        second.sendall(b"hello\n")
        assert lines.readline() == b"v2 HELLO\n"


def upgraded(shop: App) -> socket.socket:
    """A connection below /chat that speaks another protocol than HTTP by now."""
    made = socket.create_connection(("127.0.0.1", shop.server.http_port), timeout=30)
    made.sendall(
        f"GET /chat/x HTTP/1.1\r\nHost: {shop.name}.localhost\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += made.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return made


def test_a_process_that_does_not_start_refuses_the_push(shop: App) -> None:
    description = f"{PYTHON}processes:\n  chat: {{run: chat.py, path: /chat}}\n"
    shop.commit("Chat", {**hello("one"), "app.yaml": description, "chat.py": "raise SystemExit('out of order')\n"})
    done = shop.push()
    assert done.refused("chat does not start: ") and "out of order" in done.text


@pytest.mark.parametrize(
    ("platform", "deb"), [("python, asgi\napp: hello:application", "python3-uvicorn"), ("php", "php-cli")]
)
def test_a_platform_whose_package_is_missing_is_refused_with_what_to_do(shop: App, platform: str, deb: str) -> None:
    """The embedded node has no right to install it."""
    shop.commit(
        "Serve", {**hello("one"), "app.yaml": f"platform: {platform}\n", "static/index.php": "<?php echo 'php';"}
    )
    done = shop.push()
    if shutil.which("dpkg-query") and installed(deb):
        assert done.ok()
    else:
        assert done.refused("where no push installs any: apt-get install ") and deb in done.text


def installed(deb: str) -> bool:
    said = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", deb], capture_output=True, text=True
    )
    return said.stdout == "installed"
