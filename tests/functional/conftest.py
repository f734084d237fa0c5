"""Servers for the functional tests: each is stopped, and looked at once more, even where a test fails."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .session import SMALL, App, Running, Server, remove


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[..., Server]]:
    """Makes servers; their directories have short names, as sockets need."""
    made: list[Server] = []
    errors: list[Exception] = []

    def make(settings: str = SMALL, home: Path | None = None) -> Server:
        made.append(Server(Path(tempfile.mkdtemp(prefix="gd-")).resolve(), settings, home))
        return made[-1].open()

    yield make
    for server in made:
        try:
            server.close()
        except Exception as error:
            errors.append(error)
        remove(server.top)
    if errors:
        raise errors[0]


@pytest.fixture(scope="module")
def server(servers: Callable[..., Server]) -> Server:
    """One for all tests of a module: they take apps of their own."""
    return servers()


@pytest.fixture
def shop(server: Server, request: pytest.FixtureRequest) -> App:
    """A new app, called after the test."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:30].rstrip("-")
    return server.app(fresh(server, f"a-{name}"))


def fresh(server: Server, name: str) -> str:
    """`name`, with a number behind it if there is a repository of that name already."""
    number = 1
    found = name
    while (server.user / found).exists():
        number += 1
        found = f"{name}-{number}"
    return found


@pytest.fixture
def running() -> Iterator[Callable[[Running], Running]]:
    """``running(shop.pushing())``: ended at the end of the test, if it has not by then."""
    begun: list[Running] = []

    def keep(one: Running) -> Running:
        begun.append(one)
        return one

    yield keep
    for one in begun:
        one.close()
