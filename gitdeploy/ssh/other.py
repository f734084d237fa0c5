"""Every command that is not git's: it runs in the server and writes to the session."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import BadName, GitdeployError
from .command import Command
from .session import Service, Session, Work

STDIN = 1024 * 1024  # bytes of standard input that a command takes
UNREAD = 16 * 1024 * 1024  # bytes that wait for a client who reads slowly
log = Logger()


class Running:
    """A command as a session sees it, and the session as the command sees it."""

    remote = True

    def __init__(self, session: Session, service: Service, avatar: Any, command: Command) -> None:
        self.session, self.allowed = session, avatar.still
        self.input = bytearray()
        self.whole: Deferred[None] = Deferred()
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

    async def read(self) -> str:
        await self.whole
        try:
            return self.input.decode()
        except UnicodeDecodeError:
            raise BadName("standard input is not UTF-8 text") from None

    def received(self, data: bytes) -> None:
        if len(self.input) + len(data) > STDIN:
            self.session.fail(BadName(f"standard input is longer than {STDIN:,} bytes"))
            return
        self.input += data

    def eof(self) -> None:
        if not self.whole.called:
            self.whole.callback(None)

    def gone(self) -> None:
        self.task.cancel()

    def pause(self) -> None:
        """Commands write little."""

    def resume(self) -> None:
        """See `pause`."""

    def ending(self) -> bool:
        return False


def start(session: Session, service: Service, avatar: Any, command: Command) -> Work:
    return Running(session, service, avatar, command)
