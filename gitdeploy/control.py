"""Commands typed on the server's own machine: one JSON line in, JSON lines out, over a unix socket that only its owner opens.

The request is ``{"user": "alice", "argv": ["rollback", "shop"], "stdin": "..."}``; answers are ``{"out": "text"}``,
``{"err": "text"}`` and at the end ``{"exit": 0}``.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TextIO

from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from .errors import GitdeployError
from .ssh.command import Command
from .ssh.session import CommandIO

log = Logger()
Run = Callable[[str, Command, CommandIO], Coroutine[Any, Any, int]]


class Control(LineOnlyReceiver):
    """One command."""

    delimiter = b"\n"
    remote = False
    MAX_LENGTH = 2 * 1024 * 1024

    def __init__(self, run: Run) -> None:
        self.run = run
        self.stdin = ""
        self.task: Deferred[None] | None = None

    def lineReceived(self, line: bytes) -> None:
        request = json.loads(line)
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
                self.transport.loseConnection()

    def tell(self, **what: object) -> None:
        if self.transport is not None:
            self.transport.write(json.dumps(what).encode() + b"\n")

    def allowed(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.tell(out=text)

    def error(self, text: str) -> None:
        self.tell(err=text)

    async def read(self) -> str:
        return self.stdin

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


def ask(path: Path, user: str, argv: list[str], stdin: str, out: TextIO, err: TextIO) -> int | None:
    """Let the server that listens at `path` run a command; returns its exit status, or None if none listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        connection.sendall(json.dumps({"user": user, "argv": argv, "stdin": stdin}).encode() + b"\n")
        with connection.makefile("r", encoding="utf-8") as answers:
            for line in answers:
                answer: dict[str, Any] = json.loads(line)
                if "exit" in answer:
                    return int(answer["exit"])
                print(answer.get("out", answer.get("err")), file=out if "out" in answer else err, flush=True)
    print("gitdeploy: the server went away", file=err)
    return 1
