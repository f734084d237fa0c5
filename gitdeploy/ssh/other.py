"""Every command that is not git's: it runs in the server and writes to the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import BadName, GitdeployError
from .command import Command
from .session import Program, Service, Session, Work
from .terminal import Terminal

STDIN = 1024 * 1024  # bytes of standard input that a command takes
UNREAD = 16 * 1024 * 1024  # bytes that wait for a client who reads slowly
log = Logger()


class Running:
    """A command as a session sees it, and the session as the command sees it."""

    remote = True

    def __init__(self, session: Session, service: Service, avatar: Any, command: Command) -> None:
        self.session, self.allowed = session, avatar.still
        self.input = bytearray()
        self.program: Program | None = None
        self.ended = self.reads = False  # the client's input has; all of it is wanted at once
        self.arrived: Deferred[None] | None = None  # somebody waits for input
        self.paused: Deferred[None] | None = None  # the client does not read; somebody may wait until he does
        self.task: Deferred[int] = Deferred.fromCoroutine(service.command(avatar.user, command, self))
        self.task.addCallbacks(session.finish, self.failed)

    def failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if isinstance(failure.value, GitdeployError):
            self.session.fail(failure.value)
            return
        log.failure("in a command", failure=failure)
        self.session.fail(GitdeployError(f"internal error: {failure.getErrorMessage()}; the server's log has more"))

    def write(self, text: str) -> None:
        if len(self.session.buf) > UNREAD:
            return  # somebody follows a log, and does not read it
        self.session.send(text.encode() + b"\n")

    def error(self, text: str) -> None:
        self.session.error(text)

    @property
    def terminal(self) -> Terminal | None:
        return self.session.terminal

    def streams(self) -> tuple[Callable[[bytes], None], Callable[[bytes], None]]:
        self.session.is_raw = True
        return self.session.send, self.session.send_error

    def attach(self, program: Program) -> None:
        """What has come already goes first."""
        self.program = program
        program.hold(self.session)
        program.received(bytes(self.input))
        self.input.clear()
        self.session.resumeProducing()
        if self.ended:
            program.eof()

    async def read(self) -> str:
        self.reads = True
        while not self.ended:
            self.limit()
            await self.more()
        try:
            return self.input.decode()
        except UnicodeDecodeError:
            raise BadName("standard input is not UTF-8 text") from None

    async def receive(self) -> bytes:
        while not self.input and not self.ended:
            await self.more()
        data = bytes(self.input)
        self.input.clear()
        self.session.resumeProducing()
        return data

    async def send(self, data: bytes) -> None:
        while self.paused is not None:
            await self.paused
        self.session.send(data)

    async def more(self) -> None:
        self.arrived = Deferred()
        await self.arrived

    def limit(self) -> None:
        if len(self.input) > STDIN:
            raise BadName(f"standard input is longer than {STDIN:,} bytes")

    def received(self, data: bytes) -> None:
        """The window is not opened again for what nobody has asked for, so that memory does not grow."""
        if self.program is not None:
            self.program.received(data)
            return
        self.input += data
        if len(self.input) > STDIN and not self.reads:
            self.session.pauseProducing()
        self.wake()

    def eof(self) -> None:
        self.ended = True
        if self.program is not None:
            self.program.eof()
        self.wake()

    def wake(self) -> None:
        if self.arrived is not None:
            arrived, self.arrived = self.arrived, None
            arrived.callback(None)

    def gone(self) -> None:
        self.task.cancel()

    def pause(self) -> None:
        """What a command `write`s is little; `send` waits, and so does a program."""
        if self.program is not None:
            self.program.pause(True)
        if self.paused is None:
            self.paused = Deferred()

    def resume(self) -> None:
        if self.program is not None:
            self.program.pause(False)
        if self.paused is not None:
            paused, self.paused = self.paused, None
            paused.callback(None)

    def resize(self, terminal: Terminal) -> None:
        if self.program is not None:
            self.program.resize(terminal.rows, terminal.columns)

    def ending(self) -> bool:
        return False


def start(session: Session, service: Service, avatar: Any, command: Command) -> Work:
    return Running(session, service, avatar, command)
