"""Mail in development: a port of SMTP whose messages go to the commands that ``mail`` of app.yaml names."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail import smtp
from zope.interface import implementer

from buildless.mail import Mailbox, find

from ..errors import GitdeployError
from ..nodes.oneoff import Lines
from ..runner import Runner
from .development import Development, described

PORTS = range(2525, 2550)
"""Those that are tried."""


@implementer(smtp.IMessageDelivery)
class Delivery:
    """Whom messages may be to, as app.yaml says at that moment; `say` gets lines for the terminal."""

    def __init__(self, development: Development, runner: Runner, say: Callable[[str], None]) -> None:
        self.development, self.runner, self.say = development, runner, say

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b"Received: by gitdeploy serve"

    def validateFrom(self, helo: Any, origin: smtp.Address) -> smtp.Address:
        return origin

    def validateTo(self, user: smtp.User) -> Callable[[], Message]:
        """What makes the message to somebody. Raises SMTPBadRcpt where nobody has the address."""
        to = str(user.dest)
        try:
            found = find(described(self.development.top).mail, to)
        except GitdeployError as error:
            raise smtp.SMTPBadRcpt(user, resp=str(error)) from error
        if found is None:
            self.say(f" !     mail: app.yaml has no address that {to} is")
            raise smtp.SMTPBadRcpt(user, resp="mail in app.yaml has no such address")
        return lambda: Message(self, found, str(user.orig), to)


@implementer(smtp.IMessage)
class Message:
    """One message on its way to a command. Any exit status but 0 is answered 550: twisted.mail knows nothing else."""

    def __init__(self, delivery: Delivery, mailbox: Mailbox, sender: str, to: str) -> None:
        self.delivery, self.mailbox, self.sender, self.to = delivery, mailbox, sender, to
        self.lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.deliver())

    def connectionLost(self) -> None:
        """It did not come to its end: nobody gets it."""

    async def deliver(self) -> None:
        """Give it to the command. Raises GitdeployError if that does not take it."""
        say, name = self.delivery.say, shlex.join(self.mailbox.run)
        say(f"-----> A message from {self.sender or 'nobody'} to {self.to}: {name}")
        lines = Lines(lambda text: say(f"mail | {text}"))
        try:
            command = self.delivery.development.command(self.mailbox.run)
            told = {**command.env, "SENDER": self.sender, "RECIPIENT": self.to}
            await self.delivery.runner.run(
                replace(command, env=told), stdin=b"".join(line + b"\n" for line in self.lines),
                timeout=self.mailbox.timeout, on_output=lines.received, on_error=lines.received,
            )  # fmt: skip
        except GitdeployError as error:
            lines.end()
            say(f" !     {name}: {error}")
            raise
        lines.end()


class Server(smtp.SMTPFactory):
    """What listens."""

    noisy = False
    protocol = smtp.ESMTP

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.delivery = delivery

    def buildProtocol(self, addr: Any) -> Any:
        made: Any = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        made.delivery = self.delivery
        return made
