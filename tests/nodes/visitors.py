"""Visitors of an app, each at one node: they ask all the time, and look at every answer."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PAUSE = 0.05  # seconds between the rounds of a visitor
PATIENCE = 5.0  # seconds after which a visitor gives up
PAGE, FILE, PING = "/", "/number.txt", "/.gitdeploy/ping"


@dataclass
class Seen:
    """What came from one node: how many answers of which version, in the order of time, and what was wrong.

    `away` counts what a node did not answer at all, or answered while it was out of service: nobody sends visitors there.
    """

    versions: list[int] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)


class Visitors:
    """``with Visitors({"web1": "192.0.2.1"}, "shop.example.com", read) as visitors``; then see `visitors.seen`.

    `read` gets path and body, and returns the number of the version that the answer is of; ValueError if it is of none.
    """

    def __init__(self, addresses: Mapping[str, str], host: str, read: Callable[[str, str], int]) -> None:
        self.host, self.read = host, read
        self.seen = {name: Seen() for name in addresses}
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self.visit, args=(address, self.seen[name]), daemon=True)
            for name, address in addresses.items()
        ]

    def __enter__(self) -> Visitors:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE)

    def visit(self, address: str, seen: Seen) -> None:
        """Page and file in turn, and before and after what is wrong with them what a balancer would be told."""
        while not self.over.is_set():
            in_service = self.in_service(address)
            wrong = [problem for path in (PAGE, FILE, PAGE) if (problem := self.look(address, path, seen)) is not None]
            if wrong:
                in_service = in_service and self.in_service(address)
                (seen.wrong if in_service else seen.away).extend(wrong)
            self.over.wait(PAUSE)

    def look(self, address: str, path: str, seen: Seen) -> str | None:
        """One request; returns what is wrong with its answer."""
        when = time.strftime("%H:%M:%S")
        try:
            status, body = self.ask(address, path)
        except (OSError, http.client.HTTPException) as error:
            seen.away.append(f"{when} {path}: {error!r}")
            return None
        if status != 200:
            return f"{when} {path}: {status} {body[:60]!r}"
        try:
            number = self.read(path, body)
        except ValueError as error:
            return f"{when} {path}: {error}"
        seen.counts[number] += 1
        if seen.versions[-1:] != [number]:
            seen.versions.append(number)
        return None

    def in_service(self, address: str) -> bool:
        try:
            return self.ask(address, PING)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, address: str, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Host": self.host, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
