"""A kept connection to a machine: an OpenSSH that everything else goes through, made again when it is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..runner import BASE_ENVIRON, Command, Runner, end_group

RETRY = (0.5, 1.0, 2.0, 5.0)  # seconds before the next try; the last one again and again
LIMIT = 15.0  # seconds for a try
log = Logger()


class Connection(protocol.ProcessProtocol):
    """`argv` makes the connection and writes a line when it is there; `socket` is what others go through.

    `up` is called whenever it has been made. `state` is connecting, up, down or closed.
    """

    transport: Any = None

    def __init__(
        self, reactor: Any, runner: Runner, name: str, argv: Sequence[str], socket: Path, up: Callable[[], None]
    ) -> None:
        self.reactor, self.runner, self.name, self.argv, self.socket, self.up = (
            reactor,
            runner,
            name,
            tuple(argv),
            socket,
            up,
        )
        self.state = "closed"
        self.reason = ""  # what the last try said
        self.errors = b""
        self.tries = 0
        self.timer: Any = None
        self.limit: Any = None
        self.waiting: list[Deferred[None]] = []

    def open(self) -> None:
        """Connect, and keep on doing so."""
        if self.state == "closed":
            self.attempt()

    def attempt(self) -> None:
        self.state, self.timer, self.errors = "connecting", None, b""
        self.socket.unlink(missing_ok=True)
        self.runner.start(Command(self.argv, BASE_ENVIRON), self)
        self.limit = self.reactor.callLater(LIMIT, self.give_up)

    def give_up(self) -> None:
        """A machine that takes the connection and then says nothing."""
        if self.state == "connecting":
            self.errors += f"it said nothing for {LIMIT:g} s".encode()
            end_group(self.reactor, self.transport)

    async def settle(self) -> bool:
        """Whether it is up; waits for a try that is under way, and makes one now if the next would come later."""
        if self.state == "down":
            if self.timer is not None:
                self.timer.cancel()
            self.attempt()
        if self.state == "connecting":
            waiting: Deferred[None] = Deferred(lambda one: self.waiting.remove(one))
            self.waiting.append(waiting)
            await waiting
        return self.state == "up"

    def close(self) -> None:
        """Connect no more."""
        was, self.state = self.state, "closed"
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if was in ("connecting", "up"):
            end_group(self.reactor, self.transport)
        self.tell()

    # What ssh says.

    def outReceived(self, data: bytes) -> None:
        if self.state == "connecting":
            self.state, self.tries = "up", 0
            log.info("{name}: connected", name=self.name)
            self.tell()
            self.up()

    def errReceived(self, data: bytes) -> None:
        self.errors = (self.errors + data)[-4096:]

    def processEnded(self, reason: Failure) -> None:
        if self.limit is not None and self.limit.active():
            self.limit.cancel()
        if self.state == "closed":
            return
        said = self.errors.decode("utf-8", "replace").strip().splitlines()
        self.reason = said[-1] if said else "the connection was lost"
        if self.state == "up" or not self.tries:
            log.warn("{name}: {reason}", name=self.name, reason=self.reason)
        self.state = "down"
        self.timer = self.reactor.callLater(RETRY[min(self.tries, len(RETRY) - 1)], self.attempt)
        self.tries += 1
        self.tell()

    def tell(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)
