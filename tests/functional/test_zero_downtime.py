"""Constant requests while releases come and go: none fails, and every answer is wholly of one release."""

from __future__ import annotations

import http.client
import threading
from collections import Counter

from .session import PYTHON, App, Server

VISITORS = 4
CODE = """\
TEXT = %r
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Text", TEXT)])
    for _ in range(50):
        yield TEXT.encode() + b"\\n"
"""


class Visitor(threading.Thread):
    """Asks for the page and for a static file again and again, one connection for a few requests each."""

    def __init__(self, app: App) -> None:
        super().__init__(daemon=True)
        self.app, self.over = app, threading.Event()
        self.seen: Counter[str] = Counter()
        self.problems: list[str] = []

    def run(self) -> None:
        host = f"{self.app.name}.localhost"
        while not self.over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.app.server.http_port, timeout=20)
            try:
                for path in ("/", "/release.txt") * 3:
                    connection.request("GET", path, headers={"Host": host})
                    self.look(path, connection.getresponse())
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}")
            finally:
                connection.close()

    def look(self, path: str, answer: http.client.HTTPResponse) -> None:
        lines = answer.read().decode().split()
        if answer.status != 200:
            self.problems.append(f"{path}: {answer.status} {lines[:20]}")
        elif path == "/" and (set(lines) != {answer.headers["X-Text"]} or len(lines) != 50):
            self.problems.append(f"{path}: {answer.headers['X-Text']} {lines}")
        else:
            self.seen[lines[0]] += 1


def test_no_request_fails_during_deploys_and_rollbacks(server: Server) -> None:
    shop = server.app("shop")

    def release(number: int) -> None:
        text = f"page-{number}"
        shop.commit(text, {"app.yaml": PYTHON, "hello.py": CODE % text, "static/release.txt": text})
        shop.push().ok()

    release(0)
    visitors = [Visitor(shop) for _ in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    try:
        for number in range(1, 6):
            release(number)
            shop.push("-f", "deploy", "HEAD~1:master").ok()  # rolls back
            shop.push("deploy", "master").ok()
    finally:
        for visitor in visitors:
            visitor.over.set()
        for visitor in visitors:
            visitor.join(30)
    problems = [problem for visitor in visitors for problem in visitor.problems]
    seen = sum((visitor.seen for visitor in visitors), Counter())
    assert not problems, f"{len(problems)} of {sum(seen.values())}: {problems[:5]}"
    assert {f"page-{number}" for number in range(6)} <= seen.keys()
    assert sum(seen.values()) > 500
