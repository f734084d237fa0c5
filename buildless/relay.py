"""Stands between the socket of a process type and its program, which listens where it likes: $SOCKET, or $PORT on loopback.

So a program that knows nothing of systemd loses no request when it is started, started anew, or ended: connections wait in the
socket until it listens, and are finished before it is asked to end. Web sockets it closes itself, when it is asked to.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from buildless import ports
from buildless.failsafe import die_with_parent, say
from buildless.notify import send
from buildless.processes import told as replaced
from buildless.sleep import Sleep

LOOK = 0.05  # seconds between looks whether it listens
CONNECT = 5.0  # seconds that it gets to take a connection
DRAIN = 60.0  # seconds that requests get to be answered before it is asked to end
END = 20.0  # and it to end, before it is killed
TICK = 0.5  # seconds between looks whether it is live
BLOCK = 65536
DOES_NOT_START = 4


@dataclass(frozen=True)
class Told:
    """What the program is given: its environment, but for where it may listen, and the command line that it has then."""

    environ: Mapping[str, str]
    line: Callable[[Mapping[str, str]], Sequence[str]]
    own_ports: bool


@dataclass
class Place:
    """Where the program may listen: a path and a port that nobody else has."""

    directory: str
    socket: str
    port: int
    held: List[IO[str]] = field(default_factory=list)


class Relay:
    """The process type `name`. `listener` is the socket that others connect to, `ready` a pipe and `manager` systemd's socket."""

    def __init__(
        self, name: str, told: Told, sleep: Sleep, listener: int, ready: Optional[int], manager: Optional[str]
    ) -> None:
        self.name, self.told, self.sleep, self.ready, self.manager = name, told, sleep, ready, manager
        self.listener = socket.socket(fileno=listener)
        self.listener.setblocking(False)
        os.set_inheritable(listener, False)
        if ready is not None:
            fcntl.fcntl(ready, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        self.connections: Set[asyncio.Task[None]] = set()
        self.upgraded: Set[asyncio.Task[None]] = set()  # those of them that are no HTTP any more
        self.ending: asyncio.Event  # Python 3.9 ties it to the loop that runs when it is made

    async def run(self) -> int:
        """Start the program and pass on connections until one of us is to end; returns the exit status."""
        self.ending = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.ending.set)
        place = self.place()
        try:
            program = await self.start(place)
            ended = asyncio.ensure_future(program.wait())
            if not await self.listens(place, ended):
                await self.stop(program, ended)
                return 0 if self.ending.is_set() else DOES_NOT_START
            self.say_ready()
            accepting = asyncio.ensure_future(self.accept(place))
            sleeping = asyncio.ensure_future(self.watch())
            asked = asyncio.ensure_future(self.ending.wait())
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            accepting.cancel()
            sleeping.cancel()
            if ended.done():
                await asyncio.wait({*self.connections, asyncio.ensure_future(asyncio.sleep(LOOK))}, timeout=1)
                say(f"{self.name} ended with exit code {ended.result()}")
                return 1
            await self.drain(place)
            await self.stop(program, ended)
            return 0
        finally:
            shutil.rmtree(place.directory, ignore_errors=True)

    def place(self) -> Place:
        """A directory of its own, with a short path, and a port."""
        beside = os.path.dirname(self.listener.getsockname())
        directory = tempfile.mkdtemp(prefix=f"own-{self.name}-", dir=beside if os.access(beside, os.W_OK) else "/tmp")  # noqa: S108
        held = []
        if self.told.own_ports:
            port, file = ports.take_port(Path(self.told.environ["APP_LOGS"]), os.getuid())
            held.append(file)
        else:
            port = ports.free_port()
        return Place(directory, os.path.join(directory, "socket"), port, held)

    async def start(self, place: Place) -> asyncio.subprocess.Process:
        given = {"SOCKET": place.socket, "PORT": str(place.port)}
        variables: Dict[str, str] = {**self.told.environ, **given}
        line = replaced(self.told.line(variables), given)
        us = os.getpid()
        return await asyncio.create_subprocess_exec(
            *line, env=variables, stdin=asyncio.subprocess.DEVNULL, preexec_fn=lambda: die_with_parent(us)
        )

    async def listens(self, place: Place, ended: asyncio.Future[int]) -> bool:
        """Wait until the program listens; False if it, or we, are to end before. Whoever started us has a limit."""
        while not ended.done() and not self.ending.is_set():
            if ports.listens(place.socket) or ports.listener(place.port, os.getuid()) is not None:
                return True
            await asyncio.wait({ended}, timeout=LOOK)
        if ended.done():
            say(f"{self.name} ended with exit code {ended.result()} before it listened at $SOCKET or $PORT")
        return False

    async def connect(self, place: Place) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection with the program. Raises OSError."""
        if os.path.exists(place.socket):
            return await asyncio.wait_for(asyncio.open_unix_connection(place.socket), CONNECT)
        address = ports.listener(place.port, os.getuid())
        if address is None:
            raise ConnectionRefusedError(f"{self.name} does not listen")
        return await asyncio.wait_for(asyncio.open_connection(address, place.port), CONNECT)

    def say_ready(self) -> None:
        if self.manager is not None:
            send(self.manager, b"READY=1")
        if self.ready is not None:
            os.write(self.ready, f"ready {os.getpid()}\n".encode())
            os.close(self.ready)

    async def accept(self, place: Place) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self.listener)
            self.take(client, place)

    def take(self, client: socket.socket, place: Place) -> None:
        self.sleep.touch()
        task = asyncio.ensure_future(self.pass_on(client, place))
        self.connections.add(task)
        task.add_done_callback(self.forget)

    def forget(self, task: asyncio.Task[None]) -> None:
        self.connections.discard(task)
        self.upgraded.discard(task)
        self.sleep.touch()
        if (
            not task.cancelled()
            and (error := task.exception()) is not None
            and not isinstance(error, (OSError, asyncio.TimeoutError))
        ):
            say(f"{self.name}: a connection could not be passed on: {error!r}")

    async def pass_on(self, client: socket.socket, place: Place) -> None:
        """One connection, both ways, each at the pace of the slower side, until the program has nothing more to say."""
        reader, writer = await asyncio.open_connection(sock=client)
        try:
            from_program, to_program = await self.connect(place)
        except (asyncio.TimeoutError, OSError):  # one and the same only since Python 3.11
            writer.transport.abort()
            raise
        task = asyncio.current_task()
        assert task is not None

        def look(data: bytes) -> None:
            if data.startswith(b"HTTP/1.1 101"):
                self.upgraded.add(task)

        asking = asyncio.ensure_future(pump(reader, to_program))
        asking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # the answer says how it went
        try:
            await pump(from_program, writer, look)
        finally:
            asking.cancel()
            to_program.close()
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), DRAIN)  # what the client has not taken yet

    async def watch(self) -> None:
        """End when nobody has asked for long, and the release is not live; or is not any more, and there are web sockets.

        They would go on with the program of yesterday as long as somebody's browser is open. They are to come back to today's.
        """
        was_live = False
        while True:
            await asyncio.sleep(TICK)
            is_live = self.sleep.is_live()
            if self.connections - self.upgraded:
                self.sleep.touch()
            if self.sleep.is_due() or (was_live and not is_live and self.upgraded):
                self.ending.set()
            was_live = was_live or is_live

    async def drain(self, place: Place) -> None:
        """Wait until all that was accepted, or waits for that, is answered; what was upgraded has no end of its own."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                break
            client.setblocking(False)
            self.take(client, place)
        deadline = asyncio.get_running_loop().time() + DRAIN
        while self.connections - self.upgraded and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait(self.connections - self.upgraded, timeout=LOOK)

    async def stop(self, program: asyncio.subprocess.Process, ended: asyncio.Future[int]) -> None:
        """Ask the program to end, and pass on what it says until it does."""
        if ended.done():
            return
        program.terminate()
        await asyncio.wait({ended}, timeout=END)
        if not ended.done():
            say(f"{self.name} did not end within {END:g} s after SIGTERM and is killed")
            program.kill()
            await ended
        if self.connections:
            await asyncio.wait(self.connections, timeout=1)


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None] = lambda data: None
) -> None:
    """Pass on all that comes, then its end."""
    first = True
    while data := await reader.read(BLOCK):
        if first:
            look(data)
            first = False
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def serve(relay: Relay) -> None:
    """Run a relay to its end. Raises BuildlessError for a command that names nothing."""
    status = asyncio.run(relay.run())
    sys.stdout.flush()
    os._exit(status)  # a connection that is left need not be waited for
