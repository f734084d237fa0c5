"""Commands typed on the server's own machine: one JSON line in, JSON lines out, over a unix socket that only its owner opens.

The request is ``{"user": "alice", "argv": ["rollback", "shop"], "stdin": "..."}``; answers are ``{"out": "text"}``,
``{"err": "text"}`` and at the end ``{"exit": 0}``. A command that takes bytes gets them as further lines, ``{"data": "base64"}``
and at the end ``{"data": ""}``; one that gives some answers so, too.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from .errors import GitdeployError
from .ssh.command import Command
from .ssh.session import CommandIO, Program

log = Logger()
PIECE = 1 << 18  # bytes that are sent at a time
Run = Callable[[str, Command, CommandIO], Coroutine[Any, Any, int]]


class Here:
    """What holds of every command that is typed on the server's own machine (see CommandIO): programs run over ssh alone."""

    remote = False
    terminal = None

    def allowed(self) -> bool:
        return True

    def streams(self) -> NoReturn:
        raise GitdeployError("this runs over ssh alone; write: ssh -p PORT deploy@HOST run APP COMMAND")

    def attach(self, program: Program) -> NoReturn:
        raise AssertionError("there are no streams to attach it to")


class Control(LineOnlyReceiver, Here):
    """One command."""

    delimiter = b"\n"
    transport: Any
    MAX_LENGTH = 2 * 1024 * 1024

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stdin = ""
        self.task: Deferred[None] | None = None
        self.input: list[bytes] = []
        self.arrived: Deferred[None] | None = None
        self.paused: Deferred[None] | None = None

    def lineReceived(self, line: bytes) -> None:
        request = json.loads(line)
        if self.task is not None:
            self.input.append(base64.b64decode(request["data"]))
            self.transport.pauseProducing()  # until somebody asks for more
            if self.arrived is not None:
                arrived, self.arrived = self.arrived, None
                arrived.callback(None)
            return
        self.stdin = request["stdin"]
        name, *args = request["argv"]
        self.task = Deferred.fromCoroutine(self.answer(request["user"], Command(name, tuple(args))))
        self.task.addErrback(lambda failure: log.failure("in a command", failure=failure))

    async def answer(self, user: str, command: Command) -> None:
        status = 1
        try:
            status = await self.run(user, command, self)
        except CancelledError:
            return
        except GitdeployError as error:
            status = error.exit_code
            for text in (str(error), *error.details):
                self.error(f"gitdeploy: {text}")
        except Exception:
            log.failure("in a command")
            self.error("gitdeploy: internal error; the server's log has more")
        finally:
            self.tell(exit=status)
            if self.transport is not None:
                self.transport.unregisterProducer()  # else the connection would stay
                self.transport.loseConnection()

    def tell(self, **what: object) -> None:
        if self.transport is not None:
            self.transport.write(json.dumps(what).encode() + b"\n")

    def write(self, text: str) -> None:
        self.tell(out=text)

    def error(self, text: str) -> None:
        self.tell(err=text)

    async def read(self) -> str:
        return self.stdin

    async def receive(self) -> bytes:
        while not self.input:
            self.arrived = Deferred()
            self.transport.resumeProducing()
            await self.arrived
        return self.input.pop(0)

    async def send(self, data: bytes) -> None:
        while self.paused is not None:
            await self.paused
        self.tell(data=base64.b64encode(data).decode())

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Whoever reads is slow."""
        if self.paused is None:
            self.paused = Deferred()

    def resumeProducing(self) -> None:
        if self.paused is not None:
            paused, self.paused = self.paused, None
            paused.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` hears of it, too."""

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        if self.task is not None:
            self.task.cancel()


class ControlFactory(protocol.Factory[Any]):
    """Listens for commands; `run` runs one."""

    noisy = False

    def __init__(self, run: Run) -> None:
        self.run = run

    def buildProtocol(self, addr: object) -> Control:
        return Control(self.run)


def send_all(connection: socket.socket, source: BinaryIO) -> None:
    """All bytes of `source`, and the sign of its end. A server that has said no already takes no more of them."""
    try:
        while True:
            data = source.read(PIECE)
            connection.sendall(json.dumps({"data": base64.b64encode(data).decode()}).encode() + b"\n")
            if not data:
                return
    except (BrokenPipeError, ConnectionResetError):
        pass  # its answer says why


def ask(
    path: Path, user: str, argv: list[str], stdin: str, out: TextIO, err: TextIO, source: BinaryIO | None = None
) -> int | None:
    """Let the server that listens at `path` run a command; returns its exit status, or None if none listens.

    A command that takes bytes gets those of `source`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        connection.sendall(json.dumps({"user": user, "argv": argv, "stdin": stdin}).encode() + b"\n")
        if source is not None:
            send_all(connection, source)
        with connection.makefile("r", encoding="utf-8") as answers:
            for line in answers:
                answer: dict[str, Any] = json.loads(line)
                if "exit" in answer:
                    return int(answer["exit"])
                if "data" in answer:
                    out.buffer.write(base64.b64decode(answer["data"]))
                    out.buffer.flush()
                    continue
                print(answer.get("out", answer.get("err")), file=out if "out" in answer else err, flush=True)
    print("gitdeploy: the server went away", file=err)
    return 1
