"""A server that can be stopped at a moment: ``python -m tests.functional.faults server ...``, like ``python -m gitdeploy``.

The file that $FAULT names says what happens when: ``kill before boot``, ``kill after check``, ``pause before activate`` (until
the file is gone), ``kill during deliver`` (when it has just begun). Besides the stages there are the moments ``yes`` (git has
been told yes and has not moved the ref yet, unless it is quick; it will), ``yes, git too`` (git has been told yes and is killed,
too, before it moves the ref) and ``moved`` (the ref has moved, nothing else has happened). With $HASTE it loses patience with
nodes sooner.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from gitdeploy.cli import main
from gitdeploy.deploy import reconcile
from gitdeploy.deploy.pipeline import Deploy
from gitdeploy.git.receive import STATUS, Receive
from gitdeploy.nodes import commands

FAULT = Path(os.environ["FAULT"])
SOON = 0.005  # seconds: a stage has begun and has not ended
stage, activate, close = Deploy.stage, Deploy.activate, Receive.close


def due(action: str, moment: str) -> bool:
    return FAULT.exists() and FAULT.read_text() == f"{action} {moment}"


async def here(moment: str) -> None:
    """The moment has come."""
    if due("kill", moment):
        os.kill(os.getpid(), signal.SIGKILL)
    if due("pause", moment):
        FAULT.with_name("reached").touch()
    while due("pause", moment):
        await deferLater(reactor, 0.01)


async def faulty_stage(self: Deploy, name: str, work: Awaitable[Any]) -> Any:
    """A stage with a fault before, in or after it."""
    try:
        await here(f"before {name}")
    except BaseException:
        getattr(work, "close", lambda: None)()  # it will not be awaited any more
        raise
    during = Deferred.fromCoroutine(soon(f"during {name}"))
    result = await stage(self, name, work)
    await during
    await here(f"after {name}")
    return result


async def soon(moment: str) -> None:
    if due("kill", moment):
        await deferLater(reactor, SOON)
        await here(moment)


async def faulty_activate(self: Deploy) -> None:
    await here("moved")
    await activate(self)


def faulty_close(self: Receive, fd: int) -> None:
    """Told yes: with the word in git's pipe, and not only in our own buffer."""
    git_too = due("kill", "yes, git too")
    if fd == STATUS and self.decided and (git_too or due("kill", "yes")):
        if git_too:
            os.killpg(self.transport.pid, signal.SIGSTOP)
        os.write(self.transport.pipes[STATUS].fileno(), b"0\n")
        if git_too:
            os.killpg(self.transport.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    close(self, fd)


if "HASTE" in os.environ:  # so that tests need not wait for long until a node is missed, and tried again
    commands.ALIVE, commands.CONNECT, reconcile.RETRY = 1, 3, 1.0

Deploy.stage, Deploy.activate, Receive.close = faulty_stage, faulty_activate, faulty_close  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
