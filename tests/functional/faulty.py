"""A server that stops, dies or waits at a moment of a deploy, as it is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import fresh
from .session import App, Running, Server, eventually, hello

ROOT = Path(__file__).parents[2]

Keep = Callable[[Running], Running]


class Faulty:
    """A server that runs through `faults`, and what is to happen to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.fault, self.reached = server.top / "fault", server.top / "reached"

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), self.server.env.get("PYTHONPATH", "")])
        self.server.start("tests.functional.faults", FAULT=str(self.fault), PYTHONPATH=path)

    def plan(self, what: str) -> None:
        new = self.fault.with_name("fault.new")
        new.write_text(what)
        new.rename(self.fault)
        self.reached.unlink(missing_ok=True)

    def wait(self) -> None:
        """Until the moment of a pause."""
        eventually("the moment is there", self.reached.exists, 30)

    def go_on(self) -> None:
        self.fault.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def faulty(servers: Callable[..., Server]) -> Faulty:
    found = Faulty(servers())
    found.server.end()
    found.start()
    return found


@pytest.fixture
def shop(faulty: Faulty, request: pytest.FixtureRequest) -> Iterator[App]:
    """An app whose first release answers ``one``."""
    if faulty.server.process is None or faulty.server.process.poll() is not None:
        faulty.server.forget()
        faulty.start()
    app = faulty.server.app(fresh(faulty.server, "shop"))
    app.commit("First page", hello("one"))
    app.push().ok()
    yield app
    faulty.go_on()
