"""What the pipeline needs of a node, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .applog import AppLog


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


class Session(Protocol):
    """One deploy's connection to one node; `ended` says that the node's side of it is gone."""

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""

    async def call(self, verb: str, timeout: float, **request: Any) -> dict[str, Any]:
        """Ask the node's side for a verb (buildless.node.verbs). Raises Refused with what the node said."""

    async def send(
        self, source: str, paths: Sequence[str], directory: str, timeout: float, progress: Callable[[str], None]
    ) -> None:
        """Copy `paths` below `source`, on the server, to `directory`, on the node."""

    def close(self) -> None:
        """End the connection."""


class Node(Protocol):
    """A machine that runs apps. `key` is an app's name on nodes, `release` is ``vN``."""

    name: str
    python: str
    path: str

    def session(self) -> Session:
        """Begin to talk to it."""

    def layout(self, key: str, release: str) -> Mapping[str, str]:
        """Where the release has its `logs`, `tmp`, `pycache` and `socket`."""

    def url(self, host: str) -> str:
        """Where a browser finds `host` on this node."""

    def urls(self, key: str) -> list[str]:
        """Where an app that is live on it answers."""

    def keys(self) -> list[str]:
        """The apps that there is anything of on it."""

    def live(self, key: str) -> str | None:
        """The release that is live."""

    def adopt(self, key: str, release: str, fingerprint: str) -> str | None:
        """Let processes that still run, and would be the same, serve `release`, too; returns the release they were started for."""

    async def boot(self, key: str, release: str, timeout: float) -> bool:
        """Start the processes of a release beside the live one; False if they run already. Raises Refused with their output."""

    async def check(self, key: str, release: str, host: str, path: str, timeout: float) -> Checked:
        """Ask a release for `path` through the node's web server, before it is live."""

    def switched(self, key: str, release: str) -> None:
        """A release is now the live one: let the web server know its host names."""

    async def retire(self, key: str, live: str, keep: int, linger: float) -> None:
        """Stop the processes of releases other than `live`, each when it has answered what it accepted.

        The `keep` latest of them go on for `linger` seconds, for an instant rollback.
        """

    async def stop(self, key: str, release: str) -> None:
        """Stop a release's processes now, unless they serve another one, too."""

    def restore(self, key: str) -> None:
        """Start what is live, after the server was started."""

    def running(self, key: str) -> list[Process]:
        """The processes of an app."""

    def output(self, key: str, release: str) -> list[str]:
        """The last lines that a release wrote."""

    def log(self, key: str) -> AppLog:
        """The log of an app."""

    def owner(self, host: str) -> str | None:
        """The key of the app that answers to `host`, if any."""
