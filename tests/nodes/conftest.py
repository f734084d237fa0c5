"""Real nodes for tests: skipped with the reason where there can be none, and gone at the end, whatever happens.

``machines`` makes more of them and runs commands of ours; ``nodes(3)`` are three that are set up, ``bare()`` is one that is not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..functional.session import App, Running, Server, remove
from .machines import Machines, Node, can_set_up, lacking
from .visitor import name_for

HERE = Path(__file__).parent
PRODUCTION_AND_STAGING = """\
web: {processes: 1}
environments:
  production: {nodes: [web1, web2]}
  staging: {nodes: [web1]}
  unmade: {nodes: [web1, web9]}
limits: {boot: 20s, step: 120s}
keep: {linger: 30s}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs real nodes."""
    reason = lacking()
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@contextmanager
def serving(machines: Machines, settings: str, nodes: Sequence[Node]) -> Iterator[Server]:
    """A server with these settings that runs, to which these nodes are lent."""
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    server = Server(top, settings + machines.lend(top / "h", *nodes))
    try:
        yield server.open()
    finally:
        server.close()
        remove(top)


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """A home with nspawn as its provider. Also Ctrl-C leads to the end of it: that is what generators are for."""
    made = Machines()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def bare(machines: Machines) -> Callable[..., Node]:
    """``bare()`` is a new machine, just created."""
    return machines.create


@pytest.fixture(scope="session")
def nodes(machines: Machines) -> Callable[..., list[Node]]:
    """``nodes(3)`` are three new machines that are set up, ``nodes(names=["web1"])`` one of that name."""
    if not can_set_up():
        pytest.skip("there is no setup-node yet")
    return machines.ready


@pytest.fixture(scope="session")
def node(nodes: Callable[..., list[Node]]) -> Node:
    """One that is set up, the same for all tests that do not mind."""
    return nodes(1)[0]


@pytest.fixture(scope="session")
def web(nodes: Callable[..., list[Node]]) -> list[Node]:
    """web1 and web2, on which `server` runs what is pushed to it."""
    return nodes(names=["web1", "web2"])


@pytest.fixture(scope="session")
def server(machines: Machines, web: list[Node]) -> Iterator[Server]:
    """One for all tests that do not mind: production is on both nodes of `web`, staging on web1 alone."""
    with serving(machines, PRODUCTION_AND_STAGING, web) as server:
        yield server


@pytest.fixture
def shop(server: Server, request: pytest.FixtureRequest) -> App:
    """A new app, called after the test."""
    return server.app(name_for(server, request.node.originalname))


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
