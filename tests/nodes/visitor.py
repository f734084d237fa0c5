"""Somebody who asks nodes for what apps answer, as a browser or a balancer does."""

from __future__ import annotations

import base64
import html
import http.client
import os
import re
import socket
from collections.abc import Mapping
from urllib.parse import urlencode

from ..functional.session import Answer, App, Done, Server, hello
from .machines import Node

PICKY = {
    "app.yaml": "platform: python, wsgi\napp: hello:application\n",
    "hello.py": "import socket\nassert socket.gethostname() != 'web2', 'not here'\n" + hello("picky")["hello.py"],
}
"""The files of an application that does not start on web2."""


def get(
    node: Node, host: str, path: str = "/", headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """What nginx on a node says at a host name."""
    connection = http.client.HTTPConnection(node.address, 80, timeout=30)
    try:
        connection.request(method, path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def says(node: Node, app: App | str, path: str = "/") -> str:
    """What the live release of an app answers on a node."""
    answer = get(node, app if isinstance(app, str) else f"{app.name}.localhost", path)
    return answer.text if answer.status == 200 else f"{answer.status}"


def in_service(node: Node) -> bool:
    """Whether a balancer would give it requests."""
    return get(node, "balancer", "/.gitdeploy/ping").status == 200


def lines(done: Done) -> list[str]:
    """What a pusher sees of the deploy, without what git adds; times are ``N s``, commits ``COMMIT``."""
    found = [re.sub(r"\s+$", "", line.removeprefix("remote: ")) for line in done.text.replace("\r", "\n").splitlines()
             if line.startswith("remote: ") and re.match(r"remote: (-----> |       | !     )", line)]  # fmt: skip
    return [re.sub(r"\b[0-9a-f]{7}\b", "COMMIT", re.sub(r"\d+\.\d+ s\b", "N s", line)) for line in found]


def errors(done: Done) -> list[str]:
    """The lines of it that say what is wrong."""
    return [line.removeprefix(" !     ") for line in lines(done) if line.startswith(" !     ")]


def name_for(server: Server, test: str) -> str:
    """A name for the app of a test, which no other one has."""
    name = "a-" + test.removeprefix("test_").replace("_", "-")[:24].strip("-")
    number = 1
    found = name
    while (server.user / found).exists():
        number += 1
        found = f"{name}-{number}"
    return found


class Browser:
    """Somebody with cookies, who fills in forms. `host` is what stands in the address, whatever is connected to."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self.address, self.port, self.host = address, port, host
        self.cookies: dict[str, str] = {}
        self.hidden: dict[str, str] = {}
        """The hidden fields of the page that was shown last."""

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Answer:
        headers = {"Host": self.host, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        connection = http.client.HTTPConnection(self.address, self.port, timeout=60)
        try:
            connection.request(method, path, body, {**headers, "Content-Type": kind} if kind else headers)
            answer = connection.getresponse()
            for cookie in answer.msg.get_all("Set-Cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        answer = self.ask("GET", path)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            tags = re.findall(r"<input[^>]*type=[\"']hidden[\"'][^>]*>", answer.text)
            pairs = [(re.search(r"name=[\"']([^\"']*)", tag), re.search(r"value=[\"']([^\"']*)", tag)) for tag in tags]
            self.hidden = {name[1]: html.unescape(value[1]) for name, value in pairs if name and value}
        return answer

    def post(self, path: str, fields: Mapping[str, str], form: str | None = None) -> Answer:
        """Look at the page with the form first (`form`, by default it is at the path itself; none if it is empty)."""
        self.hidden = {}
        if form != "":
            self.get(form or path)
        body = urlencode({**self.hidden, **fields}).encode()
        return self.ask("POST", path, body, "application/x-www-form-urlencoded")


class WebSocket:
    """A browser's end of a web socket (RFC 6455), as far as short texts go."""

    def __init__(self, node, host, path):
        self.wire = socket.create_connection((node.address, 80), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.wire.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nOrigin: http://{host}\r\n\r\n".encode()
        )
        self.file = self.wire.makefile("rb")
        self.status = self.file.readline().split()[1]
        while self.file.readline().strip():
            pass

    def __enter__(self):
        assert self.status == b"101", self.status
        return self

    def __exit__(self, *exc):
        self.file.close()
        self.wire.close()

    def say(self, text):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text.encode()))
        self.wire.sendall(bytes([0x81, 0x80 | len(masked)]) + mask + masked)

    def hear(self):
        """The kind of the next frame (1: text, 8: close) and what is in it."""
        first, length = self.file.read(2)
        if length == 126:
            length = int.from_bytes(self.file.read(2), "big")
        return first & 15, self.file.read(length)


def reaches(address, port):
    """Whether this machine, which is none of the nodes, gets an answer there."""
    try:
        with socket.create_connection((address, port), 3):
            return True
    except OSError:
        return False
