"""A session channel: one exec request, and nothing else of what ssh can do (RFC 4254 section 6)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.conch.ssh import channel
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.connection import EXTENDED_DATA_STDERR
from twisted.logger import Logger

from ..errors import GitdeployError, Refused
from ..git.push import Attempt
from ..git.repository import Repository
from ..names import Place
from ..runner import Runner
from .command import Command, parse
from .terminal import Terminal

WINDOW = 2 * 1024 * 1024  # bytes that a client may send ahead
INTERRUPT, INTERRUPTED = b"\x03", 130  # what Ctrl-C is in raw mode, and the exit status of what it ends
PACKET = 32768  # bytes of one data packet; OpenSSH's own
log = Logger()


class PushAttempt(Attempt, Protocol):
    """A deploy that can show the pusher something."""

    def show(self, sink: Callable[[bytes], None]) -> None:
        """From now on, what the pusher is to see goes to `sink`."""


@dataclass(frozen=True)
class Service:
    """What the server hands down to sessions; they know nothing else of it."""

    reactor: Any
    runner: Runner
    hooks: str
    pack_limit: Callable[[], int]
    patience: Callable[[], float]  # seconds that a pusher may send nothing
    place: Callable[[str], Place]
    may: Callable[[str, Place], bool]
    existing: Callable[[str], Repository]
    receiving: Callable[[str], AbstractContextManager[Repository]]
    attempt: Callable[[Place, str, Callable[[], bool]], PushAttempt]
    command: Callable[[str, Command, CommandIO], Coroutine[Any, Any, int]]


class CommandIO(Protocol):
    """Where a command reads and writes; `remote` says whether somebody typed it over ssh."""

    remote: bool

    def allowed(self) -> bool:
        """Whether he who typed it still may do anything here."""

    def write(self, text: str) -> None:
        """To standard output."""

    def error(self, text: str) -> None:
        """To standard error."""

    @property
    def terminal(self) -> Terminal | None:
        """The terminal that he who typed it asked for."""

    def streams(self) -> tuple[Callable[[bytes], None], Callable[[bytes], None]]:
        """What takes bytes for standard output and standard error as they are. Raises GitdeployError where nothing does."""

    def attach(self, program: Program) -> None:
        """From now on, standard input goes to `program` as it comes."""

    async def read(self) -> str:
        """All of standard input."""

    async def receive(self) -> bytes:
        """The next bytes of standard input; empty at its end. What nobody asks for waits where it comes from."""

    async def send(self, data: bytes) -> None:
        """Bytes to standard output; waits while whoever reads them is slow."""


class Program(Protocol):
    """What somebody talks to through a session."""

    def received(self, data: bytes) -> None:
        """Standard input."""

    def eof(self) -> None:
        """Its end."""

    def resize(self, rows: int, columns: int) -> None:
        """The terminal has another size."""

    def pause(self, paused: bool) -> None:
        """Whether it is to write no more for now."""

    def hold(self, producer: Any) -> None:
        """Let where its input comes from wait while it does not read."""


class Work(Protocol):
    """What an exec request started."""

    def received(self, data: bytes) -> None:
        """The client sent some of its standard input."""

    def eof(self) -> None:
        """The client's standard input has ended."""

    def gone(self) -> None:
        """The client has gone away."""

    def pause(self) -> None:
        """The client does not read: write no more for now."""

    def resume(self) -> None:
        """The client reads again."""

    def resize(self, terminal: Terminal) -> None:
        """The client's terminal has another size."""

    def ending(self) -> bool:
        """Whether it ends soon by itself and has something to say until then."""


class Session(channel.SSHChannel):
    """One channel. Every entry catches at the edge: an exception here would end the whole connection."""

    name = b"session"

    def __init__(self, remoteWindow: int, remoteMaxPacket: int, data: bytes, avatar: Any) -> None:
        super().__init__(WINDOW, PACKET, remoteWindow, remoteMaxPacket, data=data, avatar=avatar)
        self.person = avatar
        self.work: Work | None = None
        self.full = False  # the work cannot take more input now
        self.status_sent = False
        self.terminal: Terminal | None = None  # the client has one, in raw mode
        self.is_raw = False  # a program talks to that terminal itself

    # What the client sends.

    def requestReceived(self, requestType: bytes, data: bytes) -> int:
        """Only exec is done; a shell gets a friendly no; env, subsystem, x11-req, auth-agent-req fail.

        A terminal is for the one command that runs programs; for all others it is imitated, since the client's is in raw mode.
        """
        try:
            if requestType == b"window-change" and self.terminal is not None:
                self.terminal = self.terminal.resized(data)
                if self.work is not None:
                    self.guard(self.work.resize, self.terminal)
                return 1
            if self.work is not None or self.status_sent:
                return 0
            if requestType == b"pty-req":
                self.terminal = Terminal.read(data)
                return 1
            if requestType == b"exec":
                self.begin(getNS(data)[0])
                return 1
            if requestType == b"shell":
                self.error(
                    f"Hello {self.person.user}. There is no shell here: git push, or ssh with a command; try: help"
                )
                self.finish(1)
                return 1
        except Exception:
            log.failure("a request of a session")
            self.error("gitdeploy: internal error; the server's log has more")
            self.finish(1)
            return 1
        return 0

    def begin(self, text: bytes) -> None:
        from . import git, other

        service: Service = self.person.service
        try:
            if not self.person.still():
                raise Refused(f"the key of {self.person.user} has been removed; ask who keeps the server")
            command = parse(text)
            start = git.COMMANDS.get(command.name, other.start)
            self.work = start(self, service, self.person, command)
            self.person.sessions.add(self)
        except GitdeployError as error:
            self.fail(error)

    def fail(self, error: GitdeployError) -> None:
        """Tell what went wrong, and end."""
        for line in (str(error), *error.details):
            self.error(f"gitdeploy: {line}")
        self.finish(error.exit_code)

    def dataReceived(self, data: bytes) -> None:
        if self.imitates and INTERRUPT in data:
            self.guard(self.work.gone if self.work is not None else lambda: None)
            self.finish(INTERRUPTED)
        elif self.work is not None:
            self.guard(self.work.received, data)

    def eofReceived(self) -> None:
        if self.work is not None:
            self.guard(self.work.eof)

    def closeReceived(self) -> None:
        """The client wants no more: what it has not taken yet it will not take."""
        self.buf, self.extBuf = b"", []
        self.loseConnection()

    def hang_up(self) -> None:
        """The server is stopping: end, unless the work is about to."""
        if self.work is not None and not self.work.ending():
            self.guard(self.work.gone)
            self.fail(GitdeployError("the server is stopping; try again in a moment"))

    def closed(self) -> None:
        self.person.sessions.discard(self)
        work, self.work = self.work, None
        if work is not None:
            self.guard(work.gone)

    def stopWriting(self) -> None:
        if self.work is not None:
            self.guard(self.work.pause)

    def startWriting(self) -> None:
        if self.work is not None:
            self.guard(self.work.resume)

    def guard(self, call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except Exception:
            log.failure("in a session")
            self.finish(1)

    # What we send.

    @property
    def imitates(self) -> bool:
        """Whether we do what a terminal's driver would."""
        return self.terminal is not None and not self.is_raw

    def error(self, text: str) -> None:
        self.send_error(text.encode() + b"\n")

    def send_error(self, data: bytes) -> None:
        if data and not self.localClosed:
            self.writeExtended(EXTENDED_DATA_STDERR, data.replace(b"\n", b"\r\n") if self.imitates else data)

    def send(self, data: bytes) -> None:
        if data and not self.localClosed:
            self.write(data.replace(b"\n", b"\r\n") if self.imitates else data)

    def finish(self, status: int) -> None:
        """Send the exit status, and close when everything has been sent."""
        if self.status_sent or self.localClosed or self.conn is None or self.conn.transport is None:
            return
        self.status_sent = True
        self.conn.sendRequest(self, b"exit-status", struct.pack(">L", status & 0xFF))
        self.loseConnection()

    # Backpressure (see Connection.adjustWindow).

    def pauseProducing(self) -> None:
        self.full = True

    def resumeProducing(self) -> None:
        self.full = False
        used = self.localWindowSize - self.localWindowLeft
        if used and not self.localClosed and self.conn is not None:
            self.conn.adjustWindow(self, used)

    def stopProducing(self) -> None:
        self.full = False
