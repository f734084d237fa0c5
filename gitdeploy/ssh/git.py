"""git's side of the endpoint: ``git-receive-pack`` is a push, ``git-upload-pack`` a fetch."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import BadName, Refused
from ..git.receive import Receive
from ..git.stage import GIT_ENVIRON
from ..names import Place
from ..runner import Command as Argv
from ..runner import end_group, exit_code
from .command import Command
from .session import Service, Session, Work
from .terminal import Terminal

PIPE = 1024 * 1024  # bytes that wait in the pipe to git: 0.75 x the time of the usual 64 KiB


def place_of(service: Service, avatar: Any, command: Command) -> Place:
    """The app and environment that git names, if this user may have to do with it."""
    if len(command.args) != 1:
        raise BadName(f"{command.name} takes a repository and no options, such as ssh://deploy@HOST/shop")
    place = service.place(command.args[0])
    if not service.may(avatar.user, place):
        raise Refused(
            f"{avatar.user} may not push to {place.environment}; ask who keeps gitdeploy.yaml (environments: users)"
        )
    return place


class Push:
    """A push as a session sees it."""

    def __init__(self, session: Session, service: Service, avatar: Any, place: Place) -> None:
        self.session, self.service = session, service
        self.silence: Any = None
        self.stack = ExitStack()
        repository = self.stack.enter_context(service.receiving(place.app))
        attempt = service.attempt(place, avatar.user, lambda: avatar.still() and service.may(avatar.user, place))
        try:
            self.receive = Receive(service.reactor, repository, place.environment, attempt, session.send, self.done)
            attempt.show(self.receive.say)
            self.receive.start(service.runner, service.hooks, service.pack_limit())
            self.stdin = self.receive.transport.pipes[0]
            with suppress(OSError):  # there is a limit for all pipes of a user together
                fcntl.fcntl(self.stdin.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
            self.stdin.registerProducer(session, True)
            self.listen()
        except BaseException as error:
            Deferred.fromCoroutine(attempt.abandon(error)).addBoth(lambda _: self.stack.close())
            raise

    def listen(self) -> None:
        """Until git has it all, give the pusher so much time for the next bytes of it."""
        if self.silence is not None and self.silence.active():
            self.silence.cancel()
        if self.receive.hook is None:
            self.silence = self.service.reactor.callLater(self.service.patience(), self.stalled)

    def stalled(self) -> None:
        if self.receive.hook is None:
            self.session.fail(Refused(f"nothing came for {self.service.patience():g} s; push again"))
            self.receive.gone()

    def done(self, status: int) -> None:
        if self.silence is not None and self.silence.active():
            self.silence.cancel()
        self.stack.close()
        self.session.finish(status)

    def received(self, data: bytes) -> None:
        self.listen()
        self.receive.heard(data)
        if not self.stdin.disconnected:
            self.stdin.write(data)

    def eof(self) -> None:
        if 0 in self.receive.transport.pipes:
            self.stdin.unregisterProducer()
            self.receive.close(0)

    def gone(self) -> None:
        self.receive.gone()

    def pause(self) -> None:
        """What a push writes is little: it is kept for a pusher who reads slowly, so that the deploy waits for nobody."""

    def resume(self) -> None:
        """See `pause`."""

    def resize(self, terminal: Terminal) -> None:
        """Git has none."""

    def ending(self) -> bool:
        return self.receive.hook is not None


class Fetch(protocol.ProcessProtocol):
    """``git upload-pack`` as a child; it is paused while the client does not read."""

    transport: Any = None

    def __init__(self, session: Session, service: Service, place: Place) -> None:
        self.session, self.reactor = session, service.reactor
        path = str(service.existing(place.app).path)
        environ = {**GIT_ENVIRON, "GIT_NAMESPACE": place.environment}
        service.runner.start(Argv(("git", "upload-pack", "--strict", path), environ), self)
        self.transport.pipes[0].registerProducer(session, True)

    def outReceived(self, data: bytes) -> None:
        self.session.send(data)

    def errReceived(self, data: bytes) -> None:
        self.session.error(data.decode("utf-8", "replace").rstrip("\n"))

    def processEnded(self, reason: Failure) -> None:
        self.session.finish(exit_code(reason))

    def received(self, data: bytes) -> None:
        if 0 in self.transport.pipes:
            self.transport.write(data)

    def eof(self) -> None:
        if 0 in self.transport.pipes:
            self.transport.pipes[0].unregisterProducer()
            self.transport.closeStdin()

    def gone(self) -> None:
        end_group(self.reactor, self.transport)

    def pause(self) -> None:
        if 1 in self.transport.pipes:
            self.transport.pipes[1].stopReading()

    def resume(self) -> None:
        if 1 in self.transport.pipes:
            self.transport.pipes[1].startReading()

    def resize(self, terminal: Terminal) -> None:
        """Git has none."""

    def ending(self) -> bool:
        return False


def push(session: Session, service: Service, avatar: Any, command: Command) -> Work:
    return Push(session, service, avatar, place_of(service, avatar, command))


def fetch(session: Session, service: Service, avatar: Any, command: Command) -> Work:
    return Fetch(session, service, place_of(service, avatar, command))


COMMANDS: Mapping[str, Callable[[Session, Service, Any, Command], Work]] = {
    "git-receive-pack": push,
    "git-upload-pack": fetch,
}
