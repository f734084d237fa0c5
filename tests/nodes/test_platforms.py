"""What is no WSGI application, on a real node: Tornado and its web sockets, Node.js, PHP, ASGI, each from Debian's own packages."""

from __future__ import annotations

import json

import pytest

from ..functional.session import eventually, hello
from .visitor import WebSocket, get

CHAT = """\
import os, signal, tornado.httpserver, tornado.ioloop, tornado.netutil, tornado.web, tornado.websocket

class Chat(tornado.websocket.WebSocketHandler):
    everybody = set()
    def open(self):
        self.everybody.add(self)
    def on_message(self, text):
        for one in self.everybody:
            one.write_message(os.environ["APP_RELEASE"] + ": " + text)
    def on_close(self):
        self.everybody.discard(self)

def end(number, frame):
    async def ending():
        for one in list(Chat.everybody):
            one.close(1001, "a new release")
        await tornado.gen.sleep(0.2)
        loop.stop()
    loop.add_callback_from_signal(ending)

server = tornado.httpserver.HTTPServer(tornado.web.Application([("/chat", Chat)]))
server.add_socket(tornado.netutil.bind_unix_socket(os.environ["SOCKET"]))
loop = tornado.ioloop.IOLoop.current()
signal.signal(signal.SIGTERM, end)
loop.start()
"""
NODE = """\
const http = require("http");
http.createServer((request, response) => {
    response.end(`node ${request.url} ${process.env.APP_RELEASE}`);
}).listen(process.env.PORT);
"""
INDEX = """\
<?php
header("Content-Type: text/plain");
session_start();
$_SESSION["times"] = ($_SESSION["times"] ?? 0) + 1;
error_log("asked for " . $_SERVER["REQUEST_URI"]);
echo implode(" ", ["php", $_SERVER["REQUEST_URI"], $_SERVER["PATH_INFO"] ?: "-", getenv("APP_RELEASE"), $_SESSION["times"]]);
"""
UPLOAD = """\
<?php
$place = "/var/lib/apps/" . getenv("APP_NAME") . "." . getenv("APP_ENVIRONMENT") . "/evil.php";
file_put_contents($place, "<?php echo 'run';");
echo file_exists($place) ? "kept" : "lost", " ", @file_put_contents(__DIR__ . "/evil.php", "x") === false ? "safe" : "written";
"""
ASGI = """\
import asyncio, json, os

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": os.environ["APP_RELEASE"] + ": " + message["text"]})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    body = f"asgi {scope['path']} {scope['scheme']} {os.environ['APP_RELEASE']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture(scope="module")
def web1(web):
    return web[0]


def push(app):
    return app.push("staging", "master", limit=300)


def host(app):
    return f"{app.name}.staging.localhost"


def says(node, app, path="/", **headers):
    where = app if isinstance(app, str) else host(app)
    answer = get(node, where, path, headers)
    return answer.text if answer.status == 200 else str(answer.status)


def test_a_tornado_chat_through_a_switch(shop, web1):
    description = "platform: python, wsgi\napp: hello:application\ndeb: python3-tornado\nprocesses:\n"
    description += "  chat:\n    run: python3 chat.py\n    path: /chat\n"
    shop.commit("Chat", {**hello("one"), "app.yaml": description, "chat.py": CHAT})
    push(shop).ok()
    with WebSocket(web1, host(shop), "/chat") as alice, WebSocket(web1, host(shop), "/chat") as bob:
        alice.say("hello")
        assert bob.hear() == alice.hear() == (1, b"v1: hello")
        shop.commit("Chat on", {"hello.py": hello("two")["hello.py"]})
        push(shop).ok()
        kind, reason = alice.hear()
        assert kind == 8 and reason == (1001).to_bytes(2, "big") + b"a new release"
    with WebSocket(web1, host(shop), "/chat") as alice:
        alice.say("again")
        assert alice.hear() == (1, b"v2: again")
    assert says(web1, shop) == "two"


def test_a_node_server_with_files_in_front(shop, web1):
    description = "platform: command\ncommand: node server.js\ndeb: nodejs\n"
    shop.commit("Serve", {"app.yaml": description, "server.js": NODE, "static/a.txt": "a file"})
    push(shop).ok()
    assert says(web1, shop, "/x?y=1") == "node /x?y=1 v1" and says(web1, shop, "/a.txt") == "a file"
    shop.commit("Serve on", {"static/b.txt": "another"})
    push(shop).ok()
    assert says(web1, shop, "/") == "node / v2"
    rows = json.loads(shop.server.ssh("ps", f"staging/{shop.name}", "--json").ok().out)["processes"]
    assert [(row["type"], row["state"]) for row in rows if "v2" in row["serves"]] == [("web", "running")]
    shop.commit("Break", {"server.js": "throw new Error('no such database')\n"})
    done = push(shop)
    assert done.refused("the application does not start: ") and "no such database" in done.text


def test_php(shop, web1):
    files = {
        "app.yaml": "platform: php\nstatic: public\n",
        "public/index.php": INDEX,
        "public/upload.php": UPLOAD,
        "public/sub/index.php": "<?php echo 'sub ', $_SERVER['SCRIPT_NAME'];",
        "public/a.txt": "a file",
        "secret.php": "<?php echo 'outside';",
    }
    shop.commit("Serve", files)
    push(shop).ok()
    assert says(web1, shop) == "php / - v1 1"
    assert says(web1, shop, "/posts/7?x=1") == "php /posts/7?x=1 - v1 1"
    assert says(web1, shop, "/index.php/more") == "php /index.php/more /more v1 1"
    assert says(web1, shop, "/a.txt") == "a file" and says(web1, shop, "/sub/") == "sub /sub/index.php"
    assert get(web1, host(shop), "/sub").status in (301, 302)
    assert says(web1, shop, "/secret.php").startswith("php ") and says(web1, shop, "/../secret.php") == "400"
    assert says(web1, shop, "/upload.php") == "kept safe"
    assert says(web1, shop, "/evil.php").startswith("php ") and says(web1, shop, "/a.txt/x.php").startswith("php ")
    first = get(web1, host(shop), "/")
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    assert says(web1, shop, "/", Cookie=cookie) == "php / - v1 2"
    assert "UTC] asked for /posts/7?x=1" in shop.server.ssh("logs", f"staging/{shop.name}").ok().out
    shop.commit("Serve on", {"public/a.txt": "another"})
    push(shop).ok()
    assert says(web1, shop, "/", Cookie=cookie) == "php / - v2 3"
    key = f"{shop.name}.staging"
    web1.ssh("rm", "-rf", f"/var/cache/apps/{key}/pycache")  # a cache
    web1.ssh("systemctl", "restart", f"app-{key}-web@v2.service")
    assert says(web1, shop, "/", Cookie=cookie) == "php / - v2 4"
    assert says(web1, f"v1.{host(shop)}") == "php / - v1 1"
    units = web1.ssh("systemctl", "list-units", "--plain", "--no-legend", "php*-fpm.service")
    assert units == ""


def test_an_asgi_application_with_web_sockets(shop, web1):
    shop.commit("Serve", {"app.yaml": "platform: python, asgi\napp: shop:application\n", "shop.py": ASGI})
    push(shop).ok()
    assert says(web1, shop, "/x") == "asgi /x http v1"
    with WebSocket(web1, host(shop), "/chat") as alice:
        alice.say("hello")
        assert alice.hear() == (1, b"v1: hello")
        shop.commit("Serve on", {"static/a.txt": "a"})
        push(shop).ok()
        assert says(web1, shop, "/x") == "asgi /x http v2"
        assert alice.hear() == (8, (1012).to_bytes(2, "big"))
    with WebSocket(web1, host(shop), "/chat") as alice:
        alice.say("again")
        assert alice.hear() == (1, b"v2: again")
    shop.commit("Break", {"shop.py": "import nonsense\n"})
    done = push(shop)
    assert done.refused("the application does not start: ") and "No module named 'nonsense'" in done.text


def test_nothing_of_them_is_left(shop, web1):
    """Each process of an app that was refused is gone with its units."""
    description = "platform: command\ncommand: serve.py\n"
    shop.commit("Serve", {"app.yaml": description, "serve.py": "raise SystemExit('no')\n"})
    assert push(shop).refused("the application does not start: ")
    eventually(
        "no unit is left", lambda: web1.ssh("sh", "-c", f"ls /etc/systemd/system | grep {shop.name} || true") == ""
    )
