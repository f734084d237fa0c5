"""A session with `buildless.node` as a child process of this machine: requests in, answers out, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..deploy import commands
from ..errors import Refused
from ..runner import BASE_ENVIRON, Command, Runner, end_group, exit_code

LIMIT = 256 * 1024 * 1024  # bytes of one answer


class Agent(protocol.ProcessProtocol):
    """The child. `ask` sends a request and waits for its answer; an end of the child answers with an error."""

    def __init__(self) -> None:
        self.waiting: Deferred[dict[str, Any]] | None = None
        self.received: list[bytes] = []
        self.errors = bytearray()
        self.ended: int | None = None

    def ask(self, request: bytes) -> Deferred[dict[str, Any]]:
        assert self.waiting is None, "one request at a time"
        self.waiting = Deferred(self.forget)
        if self.ended is not None or self.transport is None:
            self.fail()
        else:
            waiting = self.waiting
            self.transport.write(request)
            return waiting
        return self.waiting or Deferred()

    def forget(self, _: object) -> None:
        self.waiting = None

    def outReceived(self, data: bytes) -> None:
        self.received.append(data)
        if data.endswith(b"\n"):
            answer = json.loads(b"".join(self.received))
            self.received.clear()
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
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            tail = bytes(self.errors).decode("utf-8", "replace").splitlines()[-20:]
            waiting.callback({"error": f"the node's agent ended with exit code {self.ended}", "details": tail})


class LocalSession:
    """One deploy's session with a node on this machine. `argv` starts its agent."""

    def __init__(self, reactor: Any, runner: Runner, argv: tuple[str, ...]) -> None:
        self.reactor, self.runner = reactor, runner
        self.agent = Agent()
        self.process = runner.start(Command(argv, BASE_ENVIRON), self.agent)

    async def call(self, verb: str, timeout: float, **request: Any) -> dict[str, Any]:
        """See Session.call. A verb that takes longer than `timeout` seconds ends the agent, and so the session."""
        line = json.dumps({"verb": verb, **request}) + "\n"
        limit = self.reactor.callLater(timeout, end_group, self.reactor, self.process)
        try:
            answer = await self.agent.ask(line.encode())
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
        names = b"".join(path.encode() + b"\0" for path in paths)
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
