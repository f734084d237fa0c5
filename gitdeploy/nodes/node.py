"""What the pipeline needs of a node, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .oneoff import OneOff

Say = Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """What an application answered: the HTTP status, the seconds it took, the beginning of the body as text."""

    status: int
    seconds: float
    body: str


@dataclass(frozen=True)
class Process:
    """A process, for `ps`: the release it was started for and those it serves, its state in a word, and seconds it is up."""

    node: str
    release: str
    serves: tuple[str, ...]
    type: str
    state: str
    pid: int | None
    restarts: int
    up: float


@dataclass(frozen=True)
class Unsteady:
    """A type of workers that does not stay up: why, in a line, and what it wrote last."""

    worker: str
    why: str
    lines: tuple[str, ...]


class Session(Protocol):
    """One deploy's connection to one node; `ended` says that the node's side of it is gone.

    `key` is an app's name on nodes, `release` is ``vN``. Everything raises Refused with what the node said, or that it is gone.
    """

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""

    async def call(self, verb: str, limit: float, /, say: Say | None = None, **request: Any) -> dict[str, Any]:
        """Ask the node's side for a verb (buildless.node.verbs); `say` gets the lines that it tells meanwhile."""

    async def send(
        self, source: str, paths: Sequence[str] | None, directory: str, timeout: float, progress: Say
    ) -> None:
        """Copy `paths` below `source`, on the server, to `directory`, on the node; None for all of it, to an empty directory."""

    async def adopt(self, key: str, release: str, fingerprint: str) -> str | None:
        """Let processes that still run, and would be the same, serve `release`, too; returns the release they were started for."""

    async def propose(self, key: str, release: str) -> None:
        """Try whether the node's web server would take what the release asks of it; nothing changes."""

    async def boot(self, key: str, release: str, timeout: float) -> bool:
        """Start the processes of a release beside the live one; False if they run already. Raises Refused with their output."""

    async def check(self, key: str, release: str, host: str, path: str, timeout: float) -> Checked:
        """Ask a release for `path` through the node's web server, before it is live."""

    async def switched(self, key: str, release: str, counts: Mapping[str, int]) -> None:
        """A release is now the live one: let the web server know its host names, and see that it serves it.

        Workers, `counts` of each type where that is not as the application says, are started, and those of others asked to end.
        """

    async def scale(self, key: str, counts: Mapping[str, int]) -> None:
        """Have so many workers of what is live from now on."""

    async def steady(self, key: str, seconds: float) -> list[Unsteady]:
        """Watch the workers of what is live for so long; returns those that did not stay up."""

    async def hold(self, key: str) -> None:
        """Answer nobody who asks for an app, and end its processes, each when it has answered what it accepted.

        Commands that somebody runs and jobs are ended, too.
        """

    async def unhold(self, key: str, counts: Mapping[str, int]) -> None:
        """Start what is live if it does not run, and answer again. Safe to repeat."""

    async def revive(self, key: str, release: str) -> None:
        """See to it that a release that is, or is about to be, live runs, after the server or the node was started."""

    async def retire(self, key: str, live: str, keep: int, linger: float) -> None:
        """Stop the processes of releases other than `live`, each when it has answered what it accepted.

        The `keep` latest of them go on for `linger` seconds, for an instant rollback.
        """

    async def stop(self, key: str, release: str) -> None:
        """Stop a release's processes now, unless they serve another one, too."""

    async def processes(self, key: str) -> list[Process]:
        """The processes of an app."""

    async def output(self, key: str, release: str) -> list[str]:
        """The last lines that a release wrote."""

    async def join(self) -> None:
        """The node is up to date: it may get requests from a balancer, unless somebody took it out of service."""

    async def leave(self) -> None:
        """The node is to get no new requests from a balancer."""

    async def status(self) -> dict[str, Any]:
        """What a machine of its own says of itself (buildless.node's verb `status`); empty for the server's own."""

    def close(self) -> None:
        """End the connection."""

    async def finish(self) -> None:
        """The same, and wait until nothing is left of it here."""


class Node(Protocol):
    """A place that runs apps. `python` is the interpreter and `path` the PATH of applications.

    `address` is where it is, for people. `installs` says whether Debian packages can be installed there, `sleeps` whether
    releases that are not live start on a request and end by themselves.
    """

    name: str
    address: str
    python: str
    path: str
    installs: bool
    sleeps: bool

    @property
    def setup(self) -> str | None:
        """The version of the set-up that it should have; None where there is none."""

    async def reach(self) -> str | None:
        """None when it can be talked to; else why not, in words."""

    def agent(self) -> tuple[str, ...]:
        """What starts the node's side (buildless.node), which answers on its standard streams."""

    def expect(self) -> None:
        """A session has ended, and the next one may come soon: what it would have to wait for can be got ready."""

    def start(self, command: OneOff) -> None:
        """Begin a command that somebody runs there."""

    def session(self) -> Session:
        """Begin to talk to it."""

    def layout(self, key: str, release: str) -> Mapping[str, str]:
        """Where the release has its `logs`, `tmp`, `pycache` and `secret`."""

    def socket(self, key: str, release: str, kind: str) -> str:
        """Where a process type of a release listens."""

    def url(self, location: str) -> str:
        """Where a browser finds `location` on this node."""

    async def logs(self, key: str, most: int) -> list[str]:
        """The last `most` lines that an app wrote, oldest first."""

    async def follow(self, key: str, sink: Say) -> None:
        """Give `sink` every line that an app writes from now on, until this is cancelled."""
