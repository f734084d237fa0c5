"""A command that runs on a node while somebody waits for it: its input and output pass through this process as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessExitedAlready
from twisted.python.failure import Failure

from buildless.node.stream import DATA, END, ROWS_AND_COLUMNS, SIZE, frame

from ..errors import Refused
from ..runner import BASE_ENVIRON, Command, Runner, end_group, exit_code

ENDS = 15.0  # seconds that the node's side gets to end what it runs
PIECE = 1 << 16  # bytes of a frame


class OneOff(protocol.ProcessProtocol):
    """The node's agent, asked with `request` to become a command, or what another `verb` of it becomes.

    `out` and `err` get what it writes. `ended` is its exit status, or Refused where it could not begin.
    """

    transport: Any = None

    def __init__(
        self, reactor: Any, request: Mapping[str, Any], out: Callable[[bytes], None], err: Callable[[bytes], None]
    ) -> None:
        self.reactor, self.request, self.out, self.err = reactor, request, out, err
        self.answer = b""
        self.began = False
        self.refused: Refused | None = None
        self.before: list[bytes] = []  # frames that wait for the answer
        self.errors = b""
        self.ended: Deferred[int] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def start(self, runner: Runner, argv: Sequence[str]) -> None:
        """It is not killed with the server: it notices that, and ends the command."""
        runner.start(Command(tuple(argv), BASE_ENVIRON, survives=True), self)

    # What the node's side says.

    def connectionMade(self) -> None:
        self.transport.write(json.dumps({"id": 1, "verb": "run", **self.request}).encode() + b"\n")

    def outReceived(self, data: bytes) -> None:
        if self.began:
            self.out(data)
            return
        self.answer += data
        line, newline, rest = self.answer.partition(b"\n")
        if not newline:
            return
        answer = json.loads(line)
        if "ok" not in answer:
            self.refused = Refused(answer["error"], *answer["details"][-20:])
            self.close()
            return
        self.began = True
        for one in self.before:
            self.transport.write(one)
        if rest:
            self.out(rest)

    def errReceived(self, data: bytes) -> None:
        if self.began:
            self.err(data)
        else:
            self.errors = (self.errors + data)[-65536:]

    def processEnded(self, reason: Failure) -> None:
        if not self.began and self.refused is None:
            tail = self.errors.decode("utf-8", "replace").splitlines()[-20:]
            self.refused = Refused("the connection to the node was lost; try again", *tail)
        if not self.ended.called and self.refused is not None:
            self.ended.errback(self.refused)
        elif not self.ended.called:
            self.ended.callback(exit_code(reason))
        self.gone.callback(None)

    # What it is told.

    def send(self, one: bytes) -> None:
        if not self.began:
            self.before.append(one)
        elif 0 in self.transport.pipes:
            self.transport.write(one)

    def received(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self.send(frame(DATA, data[start : start + PIECE]))

    def eof(self) -> None:
        self.send(frame(END))

    def resize(self, rows: int, columns: int) -> None:
        self.send(frame(SIZE, ROWS_AND_COLUMNS.pack(rows, columns)))

    def close(self) -> None:
        if 0 in self.transport.pipes:
            self.transport.closeStdin()

    def end(self) -> None:
        """Nobody wants it any more."""
        self.out = self.err = lambda data: None
        self.pause(False)
        self.interrupt()  # closeStdin() would wait until the command has read what there is, and it may read nothing

    def interrupt(self) -> None:
        """It may not go on; whoever waits for it is told, as of a command that SIGTERM has ended."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("TERM")
        self.limit()

    def limit(self) -> None:
        """Kill the node's side if it does not end in time, and wait for nobody who has its pipes."""

        def cut() -> None:
            end_group(self.reactor, self.transport)
            self.transport.loseConnection()

        timer = self.reactor.callLater(ENDS, cut)
        self.gone.addCallback(lambda _: timer.active() and timer.cancel())

    def pause(self, paused: bool) -> None:
        """Whether whoever reads has enough for now."""
        for number in (1, 2):
            if number in self.transport.pipes:
                pipe = self.transport.pipes[number]
                (pipe.stopReading if paused else pipe.startReading)()

    def hold(self, producer: Any) -> None:
        """Let `producer`, where input comes from, wait while the command does not read."""
        self.transport.pipes[0].registerProducer(producer, True)


class UnderWay:
    """The commands that run on a node."""

    def __init__(self) -> None:
        self.commands: set[OneOff] = set()

    def add(self, command: OneOff) -> None:
        self.commands.add(command)
        command.gone.addCallback(lambda _: self.commands.discard(command))

    async def end(self, key: str) -> None:
        """End those of an app, and wait until they have."""
        ours = [one for one in self.commands if one.request["app"] == key]
        for one in ours:
            one.interrupt()
        await DeferredList([one.gone for one in ours])


class Lines:
    """Gives `say` what a command writes, line by line; `end` what it wrote without a newline at last."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.rest = say, b""

    def received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.say(line.decode("utf-8", "replace"))

    def end(self) -> None:
        if self.rest:
            self.received(b"\n")
