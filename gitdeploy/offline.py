"""Commands on the server's own machine while no server runs: those that need nothing but files."""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred

from . import config, names
from .control import Here
from .deploy.queue import Queue
from .deploy.site import Site
from .errors import GitdeployError, NotFound, ServerRunning
from .home import Home
from .nodes.node import Node
from .runner import Runner
from .ssh.commands.call import Call, CommandSpec


class Terminal(Here):
    """Standard input and output as a command sees them."""

    def __init__(self, stdin: str) -> None:
        self.stdin = stdin

    def write(self, text: str) -> None:
        print(text)

    def error(self, text: str) -> None:
        print(text, file=sys.stderr)

    async def read(self) -> str:
        return self.stdin

    async def receive(self) -> bytes:
        raise NotImplementedError  # no command that works without a server takes bytes

    async def send(self, data: bytes) -> None:
        raise NotImplementedError


def no_node(name: str) -> Node:
    """Nodes are asked by a server."""
    raise NotFound(f"{name} cannot be asked, as no server runs")


def run_offline(home: Home, spec: CommandSpec, args: list[str], stdin: str) -> int:
    """Run `spec` over the files of `home`; returns its exit status. Raises GitdeployError if it needs a server."""
    if not spec.offline:
        raise ServerRunning(
            f"no server runs on {home.path}, and {spec.name} needs one; start it: gitdeploy server --home {home.path}"
        )
    if spec.makes and not home.path.exists():
        home.make()
        start = f"gitdeploy server --home {home.path}"
        print(f"{home.path} is new, the home of a server that is started by: {start}", file=sys.stderr)
    settings = config.load(home.config)
    site = Site(None, Runner(None), home.path, settings, no_node, home.journal, Queue(None), home.fleet, offline=True)

    def place(text: str) -> names.Place:
        return names.repository(text, settings.environments, settings.default_environment)

    call = Call("", spec.parser().read(args), Terminal(stdin), site, home.users, place, lambda _: True, None)
    results: list[object] = []
    Deferred.fromCoroutine(spec.run(call)).addBoth(results.append)
    [result] = results
    if isinstance(result, int):
        return result
    error = getattr(result, "value", None)
    raise error if isinstance(error, GitdeployError) else RuntimeError(str(result))
