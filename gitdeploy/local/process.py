"""A command of this package as the process that it is: settings read, reactor run, signals obeyed, exit status returned."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from .. import config
from ..errors import Refused
from ..home import Home, give
from ..runner import Runner
from .call import LocalCall, LocalSpec
from .terminal import Terminal

INTERRUPTED = 130
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_local(home: Home, spec: LocalSpec, args: list[str]) -> int:
    """Run `spec`; returns its exit status. Raises GitdeployError. A signal cancels it: it tidies up, then ends."""
    from twisted.internet import reactor

    parsed = spec.parser().read(args)
    home = Home(parsed.home) if getattr(parsed, "home", None) else home
    prepare(home, spec)
    settings = config.load(home.config)
    terminal = Terminal(sys.stdout, sys.stderr, reactor.seconds)
    call = LocalCall(parsed, terminal, home, settings, home.fleet, home.logins, reactor, Runner(reactor))
    try:
        result = looped(reactor, lambda: spec.run(call))
    finally:
        give_back(home)
    return finished(terminal, result)


def finished(terminal: Terminal, result: int | Failure) -> int:
    """The exit status of a command from what `looped` says. Raises what the command raised."""
    terminal.clear()
    if isinstance(result, int):
        return result
    if result.check(CancelledError):
        terminal.warn("gitdeploy: interrupted")
        return INTERRUPTED
    assert result.value is not None
    raise result.value


def looped(reactor: Any, work: Callable[[], Coroutine[Any, Any, int]]) -> int | Failure:
    """Run the command on the reactor until it ends; returns its exit status, or what it raised."""
    results: list[int | Failure] = []
    running: list[Deferred[int]] = []

    def begin() -> None:
        for number in ENDING:
            signal.signal(number, lambda *_: reactor.callFromThread(cancel))
        running.append(Deferred.fromCoroutine(work()))
        running[0].addBoth(results.append)
        running[0].addBoth(lambda _: reactor.stop())

    def cancel() -> None:
        if not results and len(running) == 1:
            running.append(running[0])  # once: the second Ctrl-C must not end the tidying up
            running[0].cancel()

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=True)
    return results[0]


def prepare(home: Home, spec: LocalSpec) -> None:
    """Look whether whoever typed the command may; make what it works on: a new home only if it `makes` one. Raises Refused."""
    if spec.installs:
        if os.geteuid() != 0:
            raise Refused(f"{spec.name} changes this machine, and is root's; write: sudo {sys.argv[0]} {spec.name}")
        return
    home.owner()
    if spec.makes or home.path.exists():
        home.make()


def give_back(home: Home) -> None:
    """What root made in the home of another user, such as the server's, is that user's: the server must be able to work with it."""
    owner = home.owner()
    if owner is None or os.geteuid() != 0 or owner.st_uid == 0:
        return
    for path in (home.config, home.run, home.fleet.path, home.logins.path):
        give(path, owner.st_uid, owner.st_gid)
