"""``serve [DIR]``: runs the application as a node does, in the environment development; a change of its files is served at once."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from ..errors import Refused
from ..text import whole
from ..web.front import Front, Limits
from . import mail
from .call import DevelopCall, DevelopSpec
from .development import Development
from .served import AGES, Served, terminal
from .watch import Watch

PORTS = range(8000, 8100)  # those that are tried
ADDRESS = "127.0.0.1"
LOOK = 0.3  # seconds between two looks at the files, or ten times what a look takes
QUIET = 0.1  # seconds without a change after which somebody has saved all of it
GRACE = 1.0  # seconds that processes get to end after Ctrl-C
NAMED = 3  # files that are named when some have changed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, default=Path())
    parser.add_argument("--port", type=whole, metavar="N")
    parser.add_argument("--mail-port", type=whole, metavar="N")


async def run(call: DevelopCall) -> int:
    development = Development.find(call.directory / call.args.directory, call.environ)
    with held(development.root), sockets(call.environ.get("XDG_RUNTIME_DIR")) as directory:
        reactor = call.runner.reactor
        served = Served(reactor, call.runner, development, directory, call.say, terminal())
        served.prepare()
        for warning in development.warnings():
            call.say(f"warning: {warning}")
        front = Front(reactor, served.resolve, limits=Limits(client=AGES, response=AGES))
        port = listen(reactor, front, PORTS if call.args.port is None else (call.args.port,), "--port")
        served.port = port.getHost().port
        ports = [port]
        call.say(f"-----> {development.name}, development: {served.url} (Ctrl-C ends it)")
        if development.description.mail:
            asked = mail.PORTS if call.args.mail_port is None else (call.args.mail_port,)
            delivery = mail.Delivery(development, call.runner, call.say)
            ports.append(listen(reactor, mail.Server(delivery), asked, "--mail-port"))
            call.say(f"       mail: smtp://{ADDRESS}:{ports[-1].getHost().port}")
        try:
            await Serving(call, served).go_on()
        except CancelledError:
            pass
        finally:
            front.close()
            await served.node.stop_all(GRACE)
            for one in ports:
                stopped = one.stopListening()
                if stopped is not None:
                    await stopped
    return 0


class Serving:
    """Renews what is served whenever the files have changed; a change while that is under way begins it anew."""

    def __init__(self, call: DevelopCall, served: Served) -> None:
        self.call, self.served, self.reactor = call, served, call.runner.reactor
        self.task: Deferred[None] | None = None

    async def go_on(self) -> None:
        development = self.served.development
        without = (development.description.static or "static",)
        own = (development.settings, development.configuration)
        watch = await deferToThread(Watch, development.top, without, own)
        self.begin()
        try:
            while True:
                changed = await self.change(watch)
                names = ", ".join(changed[:NAMED]) + (f" and {len(changed) - NAMED} more" if changed[NAMED:] else "")
                self.call.say(f"-----> Changed: {names}")
                await self.end()
                self.served.stale(changed)
                self.begin()
        finally:
            await self.end()

    async def change(self, watch: Watch) -> list[str]:
        """What has changed, once it does not change any more."""
        found: dict[str, None] = {}
        pause = LOOK
        while True:
            await deferLater(self.reactor, pause)
            began = self.reactor.seconds()
            latest = await deferToThread(watch.changed)
            if found and not latest:
                return list(found)
            found.update(dict.fromkeys(latest))
            pause = max(QUIET if found else LOOK, 10 * (self.reactor.seconds() - began))

    def begin(self) -> None:
        self.task = Deferred.fromCoroutine(self.served.renew())
        self.task.addErrback(lambda failure: failure.trap(CancelledError))
        self.task.addErrback(self.broken)

    def broken(self, failure: Any) -> None:
        self.call.terminal.warn(failure.getTraceback())

    async def end(self) -> None:
        """Give up a renewal that is under way."""
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
            await task


def listen(reactor: Any, factory: ServerFactory, ports: Sequence[int], option: str) -> Any:
    """Listen on the first of these ports that is free; `option` is what names another one."""
    for port in ports:
        try:
            return reactor.listenTCP(port, factory, interface=ADDRESS)
        except (CannotListenError, OverflowError):
            continue
    if len(ports) > 1:
        raise Refused(f"the ports from {ports[0]} to {ports[-1]} are all taken; write another: {option} N")
    raise Refused(
        f"port {ports[0]} cannot be had; something else may listen there: write another, or leave {option} out"
    )


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Be the only one that serves this checkout."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "serve.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("it is being served already, by another gitdeploy serve; end that first (Ctrl-C)") from None
        yield


@contextmanager
def sockets(runtime: str | None) -> Iterator[Path]:
    """A directory for sockets, whose names must be short."""
    where = runtime if runtime and os.access(runtime, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="gitdeploy-", dir=where))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


SPEC = DevelopSpec("serve", "run the application here as a node does, and again when it changes", arguments, run)
