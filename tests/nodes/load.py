"""A constant load on a web server: so many requests a second, each on a connection of its own or on one that is kept."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from types import TracebackType

PAUSE = 0.02  # seconds between two requests of a visitor


class Load:
    """``with Load("192.0.2.1", "shop.example.com") as load: ...``; then `answers` counts bodies, `bad` has what else came back."""

    def __init__(
        self, address: str, host: str, path: str = "/", method: str = "GET", keep: bool = False, visitors: int = 4
    ) -> None:
        self.address, self.host, self.path, self.method, self.keep = address, host, path, method, keep
        self.answers: Counter[str] = Counter()
        self.bad: list[str] = []
        self.longest = 0.0
        self.ended = threading.Event()
        self.visitors = [threading.Thread(target=self.visit) for _ in range(visitors)]

    def __enter__(self) -> Load:
        for visitor in self.visitors:
            visitor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        for visitor in self.visitors:
            visitor.join()

    def visit(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        while not self.ended.is_set():
            began = time.monotonic()
            try:
                self.ask(connection)
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
                connection.close()
            took = time.monotonic() - began
            self.longest = max(self.longest, took)
            self.ended.wait(max(0.0, PAUSE - took))
        connection.close()

    def ask(self, connection: http.client.HTTPConnection) -> None:
        headers = {"Host": self.host, **({} if self.keep else {"Connection": "close"})}
        connection.request(self.method, self.path, b"x" if self.method == "POST" else None, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status == 200:
            self.answers[body.strip()] += 1
        else:
            self.bad.append(f"{answer.status} {body[:80]}")
        if not self.keep:
            connection.close()
