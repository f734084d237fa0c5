"""``git receive-pack`` as a child of the server, and the bridge from its hooks to the deploy that the push asks for.

git does the receiving: quarantine, connectivity, fsck, atomic refs (git-receive-pack(1), githooks(5)). The scripts in hooks/
talk to us over descriptors that they inherit: 3 hook -> server (which hook, variables, refs), 4 and 5 server -> pusher
during pre-receive and post-receive, 6 server -> pre-receive (the exit status).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import defer, protocol
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import GitdeployError, Refused
from ..runner import Command, Runner, end_group, exit_code
from .pktline import ReportFilter, capabilities
from .push import ZERO, Attempt, Push, Update
from .repository import Repository
from .stage import GIT_ENVIRON

FDS: Mapping[int, int | str] = {0: "w", 1: "r", 2: "r", 3: "r", 4: "w", 5: "w", 6: "w"}
EVENTS, BEFORE, AFTER, STATUS = 3, 4, 5, 6
ENDING = 60.0  # seconds that git and a pusher who does not read get once we have decided
log = Logger()


def receive_pack(repository: Repository, hooks: str, environment: str, max_input: int) -> Command:
    """The command line of the child. `max_input` is the largest pack in bytes."""
    options = (f"core.hooksPath={hooks}", f"receive.maxInputSize={max_input}")
    argv = ("git", *(word for option in options for word in ("-c", option)), "receive-pack", str(repository.path))
    return Command(argv, {**GIT_ENVIRON, "GIT_NAMESPACE": environment}, survives=True)


def parse_event(text: str) -> tuple[str, Push]:
    """What a hook wrote: its name, variables, an empty line, the refs, an empty line."""
    head, _, commands = text.partition("\n\n")
    name, *variables = head.split("\n")
    environ = dict(line.split("=", 1) for line in variables)
    updates = tuple(Update(*line.split(" ", 2)) for line in commands.split("\n") if line)
    return name, Push(updates, environ)


class Receive(protocol.ProcessProtocol):
    """One push. `send` gets what goes to the pusher's git, `done` the exit status once everything has ended."""

    transport: Any = None

    def __init__(
        self,
        reactor: Any,
        repository: Repository,
        environment: str,
        attempt: Attempt,
        send: Callable[[bytes], None],
        done: Callable[[int], None],
    ) -> None:
        self.reactor, self.repository, self.environment = reactor, repository, environment
        self.attempt, self.send, self.done = attempt, send, done
        self.report = ReportFilter()
        self.events = bytearray()
        self.asked: bytearray | None = bytearray()  # what the pusher sent, until it is known what his client asks for
        self.hook: Deferred[None] | None = None
        self.push: Push | None = None  # what pre-receive asked
        self.decided = False  # git has been told yes
        self.hooks_ran = False  # post-receive has begun
        self.activated = False
        self.failure: BaseException = Refused("the push ended before it had been received whole")
        self.limit: Any = None

    def start(self, runner: Runner, hooks: str, max_input: int) -> None:
        """Start git. `hooks` is the directory of the bridge scripts, `max_input` the largest pack in bytes."""
        runner.start(receive_pack(self.repository, hooks, self.environment, max_input), self, FDS)

    def heard(self, data: bytes) -> None:
        """The pusher sent this, which goes to git: a client that has no terminal asks to be shown no progress."""
        if self.asked is not None:
            self.asked += data
            wants = capabilities(bytes(self.asked))
            if wants is not None:
                self.asked = None
            if wants and b"quiet" in wants:
                self.attempt.quiet()

    def childDataReceived(self, child_fd: int, data: bytes) -> None:
        if child_fd == 1:
            self.send(self.report.feed(data))
        elif child_fd == 2:
            log.info("git receive-pack: {text}", text=data.decode("utf-8", "replace").rstrip())
        elif child_fd == EVENTS:
            self.events += data
            # Variables and refs are lines that are not empty: the second empty line is the end.
            if self.events.count(b"\n\n") == 2:
                name, push = parse_event(self.events.decode("utf-8", "surrogateescape"))
                self.events.clear()
                self.hook = Deferred.fromCoroutine(self.before(push) if name == "pre-receive" else self.after())
                self.hook.addErrback(lambda failure: log.failure("in a hook of a push", failure=failure))

    async def before(self, push: Push) -> None:
        """pre-receive: ask the attempt, tell git."""
        self.push = push
        status = b"1\n"
        try:
            await self.attempt.prepare(push)
            self.attempt.committing()
            status, self.decided = b"0\n", True
        except defer.CancelledError as error:
            self.failure = error
        except GitdeployError as error:
            self.failure = error
            self.report.refuse(str(error))
        except Exception as error:
            self.failure = error
            log.failure("preparing a push")
            self.report.refuse(f"internal error: {type(error).__name__}: {error}")
        self.start_limit()
        self.close(BEFORE)
        self.write(STATUS, status)
        self.close(STATUS)

    async def after(self) -> None:
        """post-receive: refs have moved. (Not all, maybe: a push of several may fail in part.)"""
        self.hooks_ran = True
        self.stop_limit()
        try:
            if self.landed():
                self.activated = True
                await self.attempt.activate()
        finally:
            self.start_limit()
            self.close(AFTER)

    def landed(self) -> bool:
        """Whether the ref that deploys is where the push wanted it; for a push of tags alone, whether all are."""
        assert self.push is not None
        refs = self.repository.refs(self.environment)
        branches = [update for update in self.push.updates if update.ref.startswith("refs/heads/")]
        return all(refs.get(update.ref, ZERO) == update.new for update in branches or self.push.updates)

    def say(self, data: bytes) -> None:
        """Show the pusher something, through the hook that is running."""
        self.write(AFTER if self.hooks_ran else BEFORE, data)

    def write(self, fd: int, data: bytes) -> None:
        if self.transport is not None and fd in self.transport.pipes:
            self.transport.writeToChild(fd, data)

    def close(self, fd: int) -> None:
        if self.transport is not None and fd in self.transport.pipes:
            self.transport.closeChildFD(fd)

    def gone(self) -> None:
        """The pusher went away. Before git was told yes that cancels the push; after it, everything goes on without him."""
        self.send = lambda data: None
        if self.transport is not None and 0 in self.transport.pipes:
            self.transport.pipes[0].unregisterProducer()
            self.close(0)
        if not self.decided:
            if self.hook is not None:
                self.hook.cancel()
            elif self.transport is not None:
                end_group(self.reactor, self.transport)

    def give_up(self) -> None:
        log.warn("git receive-pack does not end: ending it")
        end_group(self.reactor, self.transport)

    def start_limit(self) -> None:
        if self.transport is not None and self.transport.pid:
            self.limit = self.reactor.callLater(ENDING, self.give_up)

    def stop_limit(self) -> None:
        if self.limit is not None and self.limit.active():
            self.limit.cancel()

    def processEnded(self, reason: Failure) -> None:
        self.stop_limit()
        ended = Deferred.fromCoroutine(self.finish(exit_code(reason)))
        ended.addErrback(lambda failure: log.failure("ending a push", failure=failure))

    async def finish(self, status: int) -> None:
        """The child has ended, however. Wait for the hook's work, then settle what no hook told us."""
        try:
            if self.hook is not None:
                if not self.decided:
                    self.hook.cancel()
                await self.hook
            if not self.activated:
                await self.settle()
        finally:
            self.send(self.report.close())
            self.done(status)

    async def settle(self) -> None:
        """No post-receive activated it: git died or refused after we had agreed, or we had not. The ref itself says which."""
        if self.decided and self.landed():
            await self.attempt.activate()
            return
        if self.decided:
            self.failure = Refused("git could not move the ref; what it said stands above")
        await self.attempt.abandon(self.failure)
