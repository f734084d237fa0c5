"""A session with `buildless.node` as a child process, here or behind ssh: requests in, answers out, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import Refused
from ..runner import BASE_ENVIRON, Command, Runner, end_group, exit_code
from . import commands
from .node import Say

ENDS = 5.0  # seconds that an agent gets to end by itself
STALE = 75  # the exit code of one that has done nothing, as the machine has been set up anew since it was started
EXPECTED = 600.0  # seconds that an agent waits for a session which may come
log = Logger()


class Agent(protocol.ProcessProtocol):
    """The child. `ask` sends a request and waits for its answer; an end of the child answers with an error.

    `gone` is what to call the end of it; the exit status and what it wrote last are added.
    """

    transport: Any = None

    def __init__(self, gone: str) -> None:
        self.gone = gone
        self.number = 0
        self.say: Say | None = None
        self.waiting: Deferred[dict[str, Any]] | None = None
        self.received: list[bytes] = []
        self.errors = bytearray()
        self.ended: int | None = None
        self.over: Deferred[None] = Deferred()

    def ask(self, verb: str, request: Mapping[str, Any], say: Say | None = None) -> Deferred[dict[str, Any]]:
        """The answer to a request."""
        self.number += 1
        self.say = say
        waiting = self.waiting = Deferred()
        if self.ended is None:
            self.transport.write(json.dumps({"id": self.number, "verb": verb, **request}).encode() + b"\n")
        else:
            self.fail()
        return waiting

    def outReceived(self, data: bytes) -> None:
        self.received.append(data)
        if b"\n" not in data:
            return
        *lines, rest = b"".join(self.received).split(b"\n")
        self.received = [rest] if rest else []
        for line in lines:
            answer = json.loads(line)
            if answer["id"] != self.number:
                continue
            if "say" not in answer:
                self.done(answer)
            elif self.say is not None:
                self.say(answer["say"])

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
        self.over.callback(None)

    def fail(self) -> None:
        tail = bytes(self.errors).decode("utf-8", "replace").splitlines()[-20:]
        self.done({"gone": f"{self.gone} (exit code {self.ended})", "details": tail})


def start(runner: Runner, argv: Sequence[str], gone: str) -> Agent:
    """The agent that `argv` starts; `gone` says what it means when it ends."""
    agent = Agent(gone)
    runner.start(Command(tuple(argv), BASE_ENVIRON), agent)
    return agent


class Agents:
    """Where the sessions with a node have their agents from: `start` makes one, unless one waits already.

    To start one costs a machine more than all that a rollback asks of it. Who has just deployed may well deploy again.
    """

    def __init__(self, reactor: Any, start: Callable[[], Agent]) -> None:
        self.reactor, self.start = reactor, start
        self.waiting: Agent | None = None
        self.timer: Any = None

    def expect(self) -> None:
        """Have one wait, for `EXPECTED` seconds. Where there can be none it is started when it is wanted."""
        try:
            agent = self.take()
        except OSError as error:
            log.warn("no agent can wait: {error}", error=str(error))
            return
        self.waiting, self.timer = agent, self.reactor.callLater(EXPECTED, self.drop)

    def take(self) -> Agent:
        """One for a session."""
        if self.waiting is None or self.waiting.ended is not None:
            self.drop()
            return self.start()
        agent, self.waiting = self.waiting, None
        self.drop()
        return agent

    def drop(self) -> None:
        """Let the one that waits go."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        agent, self.waiting, self.timer = self.waiting, None, None
        if agent is not None and agent.ended is None:
            agent.transport.closeStdin()


class AgentSession:
    """The part of a session that is the same for every node: what is asked of its agent, and rsync.

    The agent is one of `agents`. `prefix` stands before directories for rsync (``HOST:``), `shell` is how rsync gets there.
    """

    def __init__(
        self, reactor: Any, runner: Runner, agents: Agents, prefix: str = "", shell: Sequence[str] = ()
    ) -> None:
        self.reactor, self.runner, self.agents, self.prefix, self.shell = reactor, runner, agents, prefix, shell
        self.agent = agents.take()
        self.dropped = False

    @property
    def ended(self) -> bool:
        """Whether the agent is gone, or is to go."""
        return self.dropped or self.agent.ended is not None

    async def call(self, verb: str, limit: float, /, say: Say | None = None, **request: Any) -> dict[str, Any]:
        """See Session.call. A verb that takes longer than `limit` seconds ends the agent, and so the session.

        So does a caller that is cancelled: what the verb would still do is not wanted, and what comes next need not wait for it.
        """
        timer = self.reactor.callLater(limit, self.end)
        try:
            answer = await self.agent.ask(verb, request, say)
            if self.agent.ended == STALE:
                self.agents.drop()  # what waits was started before, too
                self.agent = self.agents.take()
                answer = await self.agent.ask(verb, request, say)
        except CancelledError:
            self.dropped = True
            self.end()
            raise
        finally:
            late = not timer.active()
            if not late:
                timer.cancel()
        if late:
            raise Refused(f"{verb} took longer than {limit:g} s and was stopped")
        if "gone" in answer:
            raise Refused(f"{answer['gone']}, during: {verb}", *answer["details"])
        if "ok" not in answer:
            raise Refused(answer["error"], *answer["details"][-20:])
        ok: dict[str, Any] = answer["ok"]
        return ok

    async def send(
        self, source: str, paths: Sequence[str] | None, directory: str, timeout: float, progress: Say
    ) -> None:
        """See Session.send: rsync from a directory of this machine."""
        names = b"".join(b"./" + path.encode() + b"\0" for path in paths or ())  # for rsync a # would begin a comment
        argv = commands.rsync(source, self.prefix + directory, self.shell, whole=paths is None)
        await self.runner.run(
            Command(argv, BASE_ENVIRON), stdin=names, timeout=timeout, on_output=lambda data: show(data, progress)
        )

    def end(self) -> None:
        """End the agent, whatever it does."""
        end_group(self.reactor, self.agent.transport)

    def close(self) -> None:
        """Let the agent end: it does when its standard input does."""
        if self.agent.ended is None:
            self.agent.transport.closeStdin()

    async def finish(self) -> None:
        """`close`, and wait until its process has ended."""
        self.close()
        if self.agent.ended is None:
            timer = self.reactor.callLater(ENDS, self.end)
            await self.agent.over
            if timer.active():
                timer.cancel()


def show(data: bytes, progress: Say) -> None:
    """Pass on the last line of what rsync --info=progress2 wrote."""
    line = data.replace(b"\n", b"\r").rstrip(b"\r").rpartition(b"\r")[2].decode("ascii", "replace").split()
    if len(line) >= 4 and line[1].endswith("%"):
        progress(f"{line[1]} of the files, {line[0]} bytes, {line[2]}")
