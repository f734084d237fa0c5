"""Keeps the processes of releases running: each listens on a socket that the server holds, so that a restart loses no request."""

from __future__ import annotations

import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.failure import Failure

from buildless.node.journal import explained
from buildless.processes import WEB

from ..errors import Refused
from ..runner import Command, Runner, exit_code, signal_group, signal_process
from . import commands

RESTART_DELAY = 0.2  # seconds, as systemd's RestartSec on nodes
HEALTHY = 10.0  # seconds up after which an end is news again and not a part of a crash loop
GRACE = 30.0  # seconds that a process gets to finish what it accepted
DRAIN = 60.0  # seconds that requests and open connections get before that
CRASHES = 2  # of these in a row, after which requests are not kept waiting for the next start
RETRY = 5.0  # seconds, where the system has no process to give
BACKLOG = 2048
TAIL = 40  # lines of output that are kept to show


@dataclass(frozen=True)
class Program:
    """What to run for a release: the interpreter, its environment, the release's directory, and its number of workers.

    `name` is the process type, with a number for a worker. Whatever `listens` gets a socket, and says when it is ready.
    """

    python: str
    environ: Mapping[str, str]
    directory: str
    workers: int
    name: str = WEB
    listens: bool = True

    @property
    def argv(self) -> tuple[str, ...]:
        if self.name == WEB:
            return commands.web(self.python, self.directory)
        return commands.process(self.python, self.directory, self.name)

    @property
    def kind(self) -> str:
        return self.name.partition(".")[0]

    @property
    def what(self) -> str:
        """What it is called where it does not start."""
        return "the application" if self.name == WEB else self.kind


class Instance(protocol.ProcessProtocol):
    """A process of one release: a gunicorn for its web process type, started again when it ends.

    `state` is booting, running, restarting (it will be back in a moment), down (it keeps ending), draining, stopping or
    stopped.
    `busy` counts the requests that it is answering.
    """

    def __init__(
        self, reactor: Any, runner: Runner, program: Program, path: Path, write: Callable[[str], None]
    ) -> None:
        self.reactor, self.runner, self.program, self.path, self.write = reactor, runner, program, path, write
        self.release = ""
        self.live_since = 0.0
        self.state = "booting"
        self.busy = 0
        self.restarts = 0
        self.crashes = 0  # ends in a row, each soon after the start
        self.since: float = reactor.seconds()
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.said: deque[str] = deque(maxlen=TAIL)  # since the latest start
        self.last: tuple[str, ...] = ()  # what it wrote between the start and the end before that
        self.partial = {1: b"", 2: b"", 4: b""}
        self.ready: set[str] = set()
        self.booted: Deferred[None] | None = None
        self.idle: Deferred[None] | None = None
        self.stopping: Deferred[None] | None = None
        self.group = 0
        self.process: Any = None
        self.timer: Any = None
        self.listener = listen(path) if program.listens else None

    @property
    def pid(self) -> int | None:
        """The process, if it runs."""
        return self.group if self.process is not None else None

    # Starting.

    async def boot(self, limit: float) -> None:
        """Start it; return when every worker has loaded the application. Raises Refused with its last output."""
        self.booted = Deferred()
        self.spawn()
        try:
            await self.booted.addTimeout(limit, self.reactor)
        except TimeoutError:
            raise Refused(f"{self.program.what} did not start within {limit:g} s", *self.tail) from None
        self.state, self.since = "running", self.reactor.seconds()

    def spawn(self) -> None:
        self.ready.clear()
        self.timer = None
        command = Command(self.program.argv, self.program.environ, self.program.directory)
        fds: dict[int, int | str] = {0: "w", 1: "r", 2: "r"}
        if self.listener is not None:
            fds |= {3: self.listener.fileno(), 4: "r"}
        try:
            self.process = self.runner.start(command, self, fds)
        except OSError as error:
            if self.booted is not None:
                raise Refused(f"{self.program.what} cannot be started: {error}") from error
            self.write(f"cannot be started: {error}; trying again")
            self.timer = self.reactor.callLater(RETRY, self.spawn)
            return
        self.group = self.process.pid
        self.process.closeStdin()
        if self.listener is None:
            self.state, self.since = "running", self.reactor.seconds()

    # What the process says.

    def childDataReceived(self, child_fd: int, data: bytes) -> None:
        *lines, self.partial[child_fd] = (self.partial[child_fd] + data).split(b"\n")
        if len(self.partial[child_fd]) > 65536:
            lines, self.partial[child_fd] = [*lines, self.partial[child_fd]], b""
        for line in lines:
            text = line.decode("utf-8", "replace")
            if child_fd == 4:
                self.worker_ready(text)
            else:
                self.tail.append(text)
                self.said.append(text)
                self.write(text)

    def worker_ready(self, text: str) -> None:
        word, _, pid = text.partition(" ")
        if word == "ready":
            self.ready.add(pid)
        if len(self.ready) >= self.program.workers:
            if self.booted is not None:
                booted, self.booted = self.booted, None
                booted.callback(None)
            elif self.state in ("restarting", "down"):
                self.state, self.since = "running", self.reactor.seconds()

    def processEnded(self, reason: Failure) -> None:
        status = exit_code(reason)
        signal_group(self.group, signal.SIGKILL)  # what the application forked and left
        self.process = None
        for child_fd in (1, 2):
            if self.partial[child_fd]:
                self.childDataReceived(child_fd, b"\n")
        if self.state == "draining" and self.stopping is None:
            self.stopping = Deferred()
        if self.stopping is not None:
            self.finish()
        elif self.booted is not None:
            booted, self.booted = self.booted, None
            why, lines = explained([*self.tail], f"ended with exit code {status}")
            booted.errback(Failure(Refused(f"{self.program.what} does not start: {why}", *lines)))
        else:
            self.restart(status)

    def restart(self, status: int) -> None:
        """It ended by itself: start it again, quickly the first time, slower while it keeps ending."""
        healthy = self.state == "running" and self.reactor.seconds() - self.since >= HEALTHY
        self.crashes = 1 if healthy else self.crashes + 1
        self.state = "down" if self.crashes > CRASHES else "restarting"
        self.restarts += 1
        self.last = tuple(self.said)
        self.said.clear()
        self.write(f"ended with exit code {status}; starting it again")
        self.timer = self.reactor.callLater(min(5.0, RESTART_DELAY * self.crashes), self.spawn)

    def why(self) -> tuple[str, tuple[str, ...]]:
        """Why it was started again, and what it wrote before."""
        reason, lines = explained(self.last, "ended")
        return reason, tuple(lines)

    # Requests, and the end.

    def began(self) -> None:
        self.busy += 1

    def ended(self) -> None:
        self.busy -= 1
        if not self.busy and self.idle is not None:
            idle, self.idle = self.idle, None
            idle.callback(None)

    async def retire(self) -> None:
        """End it when it has answered what it accepted; from now on nothing new may be given to it.

        A relay waits for that itself: it knows web sockets from requests.
        """
        self.state = "draining"
        if self.program.name == WEB:
            await self.drain()
        await self.stop(grace=GRACE if self.program.name == WEB else DRAIN + GRACE)

    async def drain(self, limit: float = DRAIN) -> None:
        """Wait until no request is being answered, at most `limit` seconds."""
        if self.busy:
            self.idle = Deferred()
            try:
                await self.idle.addTimeout(limit, self.reactor)
            except TimeoutError:
                self.write(f"{self.busy} requests or connections are still open after {limit:g} s; ending them")
                self.idle = None

    async def stop(self, *, grace: float = GRACE) -> None:
        """End it: gunicorn finishes what it accepted (SIGTERM); what is left after `grace` seconds is killed. Safe to repeat."""
        if self.stopping is None:
            self.stopping = Deferred()
            self.state = "stopping"
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None
            if self.process is None:
                self.finish()
            elif grace:
                signal_process(self.group, signal.SIGTERM)
                self.timer = self.reactor.callLater(grace, signal_group, self.group, signal.SIGKILL)
            else:
                signal_group(self.group, signal.SIGKILL)
                signal_process(self.group, signal.SIGKILL)
        await self.stopping

    def finish(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.state = "stopped"
        if self.listener is not None:
            self.listener.close()
            self.path.unlink(missing_ok=True)
        assert self.stopping is not None
        self.stopping.callback(None)


def listen(path: Path) -> socket.socket:
    """A listening unix socket at `path`, in place of one that an earlier server left. `path` is at most 107 bytes (unix(7))."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
