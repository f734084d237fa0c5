"""A session with `buildless.node` as a child process of this machine: requests in, answers out, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import Refused
from ..runner import BASE_ENVIRON, Command, Runner, end_group, exit_code
from . import commands


class Agent(protocol.ProcessProtocol):
    """The child. `ask` sends a request and waits for its answer; an end of the child answers with an error."""

    transport: Any = None

    def __init__(self) -> None:
        self.number = 0
        self.waiting: Deferred[dict[str, Any]] | None = None
        self.received: list[bytes] = []
        self.errors = bytearray()
        self.ended: int | None = None

    def ask(self, verb: str, request: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        """The answer to a request. One that was cancelled is answered all the same, and that answer is passed over."""
        self.number += 1
        waiting = self.waiting = Deferred()
        if self.ended is None:
            self.transport.write(json.dumps({"id": self.number, "verb": verb, **request}).encode() + b"\n")
        else:
            self.fail()
        return waiting

    def outReceived(self, data: bytes) -> None:
        self.received.append(data)
        if not data.endswith(b"\n"):
            return
        lines = b"".join(self.received).splitlines()
        self.received.clear()
        for line in lines:
            answer = json.loads(line)
            if answer["id"] == self.number:
                self.done(answer)

    def done(self, answer: dict[str, Any]) -> None:
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.callback(answer)

    def errReceived(self, data: bytes) -> None:
        self.errors += data
        del self.errors[:-65536]

    def processEnded(self, reason: Failure) -> None:
        self.ended = exit_code(reason)
        self.fail()

    def fail(self) -> None:
        tail = bytes(self.errors).decode("utf-8", "replace").splitlines()[-20:]
        self.done({"error": f"the node's agent ended with exit code {self.ended}", "details": tail})


class LocalSession:
    """One deploy's session with a node on this machine. `argv` starts its agent."""

    def __init__(self, reactor: Any, runner: Runner, argv: tuple[str, ...]) -> None:
        self.reactor, self.runner = reactor, runner
        self.agent = Agent()
        self.process = runner.start(Command(argv, BASE_ENVIRON), self.agent)

    @property
    def ended(self) -> bool:
        """Whether the agent is gone."""
        return self.agent.ended is not None

    async def call(self, verb: str, timeout: float, **request: Any) -> dict[str, Any]:
        """See Session.call. A verb that takes longer than `timeout` seconds ends the agent, and so the session."""
        limit = self.reactor.callLater(timeout, end_group, self.reactor, self.process)
        try:
            answer = await self.agent.ask(verb, request)
        finally:
            late = not limit.active()
            if not late:
                limit.cancel()
        if late:
            raise Refused(f"{verb} took longer than {timeout:g} s and was stopped")
        if "ok" not in answer:
            raise Refused(f"{verb}: {answer['error']}", *answer["details"][-20:])
        ok: dict[str, Any] = answer["ok"]
        return ok

    async def send(
        self, source: str, paths: Sequence[str], directory: str, timeout: float, progress: Callable[[str], None]
    ) -> None:
        """See Session.send: rsync from one directory of this machine to another."""
        names = b"".join(b"./" + path.encode() + b"\0" for path in paths)  # for rsync a # would begin a comment
        command = Command(commands.rsync(source, directory), BASE_ENVIRON)
        await self.runner.run(command, stdin=names, timeout=timeout, on_output=lambda data: show(data, progress))

    def close(self) -> None:
        """Let the agent end: it does when its standard input does."""
        if self.agent.ended is None:
            self.process.closeStdin()


def show(data: bytes, progress: Callable[[str], None]) -> None:
    """Pass on the last line of what rsync --info=progress2 wrote."""
    line = data.replace(b"\n", b"\r").rstrip(b"\r").rpartition(b"\r")[2].decode("ascii", "replace").split()
    if len(line) >= 4 and line[1].endswith("%"):
        progress(f"{line[1]} of the files, {line[0]} bytes, {line[2]}")
