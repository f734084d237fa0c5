"""The only place that starts processes: argv tuples in, results out; every one has a time limit and can be cancelled."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from twisted.internet import error, protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from .errors import CommandFailed

KILL_AFTER = 2.0  # seconds between asking a process group to end and ending it
BOUND = (
    "setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--pdeathsig", "KILL",
    "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"',
)  # fmt: skip
"""Ends a process with its parent, whose pid follows; the shell sees to a parent that was gone before setpriv(1) asked.
What a service may do beyond its user, listen on port 80, is the server's alone."""
TAIL = 30  # lines of output that an error carries


@dataclass(frozen=True)
class Command:
    """What to run. Nothing is inherited: `env` is the whole environment.

    A process that `survives` is not killed with the server: one that cleans up after itself when its pipes close. One that
    `stays` is in our own session, so that it has the terminal that we have, and Ctrl-C there is for it, too.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    survives: bool = False
    stays: bool = False

    def __str__(self) -> str:
        return shlex.join(self.argv)


BASE_ENVIRON: Mapping[str, str] = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
}
"""What every tool of ours gets: no locale, no configuration of the person who started the server."""


class Output(protocol.ProcessProtocol):
    """Collects what a process writes and tells when it ended."""

    def __init__(
        self, stdin: bytes, on_output: Callable[[bytes], None] | None, on_error: Callable[[bytes], None] | None = None
    ) -> None:
        self.ended: Deferred[int] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.out = bytearray()
        self.err = bytearray()
        self.stdin = stdin
        self.on_output, self.on_error = on_output, on_error

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.stdin)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        if self.on_output is not None:
            self.on_output(data)
        else:
            self.out += data

    def errReceived(self, data: bytes) -> None:
        if self.on_error is not None:
            self.on_error(data)
        self.err += data
        del self.err[:-65536]

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(exit_code(reason))
        self.gone.callback(None)


def exit_code(reason: Failure) -> int:
    """The exit status of a process that ended; 128 and the signal's number if a signal ended it, as shells say."""
    value: Any = reason.value
    if isinstance(value, error.ProcessDone):
        return 0
    return 128 + int(value.signal) if value.signal else int(value.exitCode)


class Runner:
    """Starts processes. `reactor` is the reactor or a fake of it."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor

    def start(
        self, command: Command, process: protocol.ProcessProtocol, fds: Mapping[int, int | str] | None = None
    ) -> Any:
        """Start `command`, in a process group of its own unless it stays; returns the process transport.

        `fds` maps the child's descriptors as Twisted's spawnProcess does: ``"r"`` we read, ``"w"`` we write, a number that of ours.
        """
        bound = () if command.survives else (*BOUND, str(os.getpid()))
        apart = () if command.stays else ("setsid", "--")
        argv = (*apart, *bound, *command.argv)
        return self.reactor.spawnProcess(
            process, argv[0], argv, env=dict(command.env), path=command.cwd, childFDs=dict(fds) if fds else None
        )

    async def run(
        self,
        command: Command,
        *,
        stdin: bytes = b"",
        timeout: float,
        on_output: Callable[[bytes], None] | None = None,
        on_error: Callable[[bytes], None] | None = None,
        check: bool = True,
    ) -> bytes:
        """Run `command` and return what it wrote to standard output (nothing, when `on_output` got it). `on_error` gets
        what it writes to standard error.

        Takes at most `timeout` seconds. Raises CommandFailed, whose details are the last lines of standard error, when it
        takes longer or (with `check`) its exit status is not 0. When the caller is cancelled, so is the process.
        """
        output = Output(stdin, on_output, on_error)
        transport = self.start(command, output)
        group = transport.pid
        killing: list[Any] = []
        limit = self.reactor.callLater(timeout, lambda: killing.append(end_group(self.reactor, transport)))
        try:
            status = await output.ended
        except CancelledError:
            killing.append(end_group(self.reactor, transport))
            await output.gone  # whoever cleans up next must not meet it
            raise
        finally:
            late = bool(killing)
            if late:
                signal_group(group, signal.SIGKILL)  # what of it did not care for SIGTERM
            for timer in (limit, *killing):
                if timer is not None and timer.active():
                    timer.cancel()
        tail = bytes(output.err).decode("utf-8", "replace").splitlines()[-TAIL:]
        if late:
            raise CommandFailed(
                f"{command.argv[0]} took longer than {timeout:g} s and was stopped", str(command), *tail
            )
        if status and check:
            raise CommandFailed(f"{command.argv[0]} ended with exit code {status}", str(command), *tail)
        return bytes(output.out)

    async def attend(self, command: Command) -> int:
        """Run `command` with our own standard streams for whoever sits there; returns its exit status.

        It takes as long as it wants. When the caller is cancelled, so is the process.
        """
        attended = Attended()
        transport = self.start(command, attended, {0: 0, 1: 1, 2: 2})
        try:
            return await attended.ended
        except CancelledError:
            end_group(self.reactor, transport)
            raise


class Attended(protocol.ProcessProtocol):
    """A process whose standard streams are our own."""

    def __init__(self) -> None:
        self.ended: Deferred[int] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(exit_code(reason))


def call(command: Command, *, timeout: float, stdin: bytes = b"") -> bytes:
    """Run `command` as `Runner.run` does, for code that has no reactor: it blocks. Raises CommandFailed.

    Unlike with `Runner.run` the details are the last lines of both outputs: tools such as debootstrap(8) use either.
    """
    bound = () if command.survives else (*BOUND, str(os.getpid()))
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            (*bound, *command.argv), env=dict(command.env), cwd=command.cwd, start_new_session=True,
            stdin=pipe, stdout=pipe, stderr=pipe,
        )  # fmt: skip
    except OSError as error:
        raise CommandFailed(f"{command.argv[0]} cannot be started: {error.strerror}", str(command)) from error
    with process:
        try:
            out, err = process.communicate(stdin, timeout)
        except BaseException as error:
            signal_group(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise CommandFailed(
                    f"{command.argv[0]} took longer than {timeout:g} s and was stopped", str(command)
                ) from error
            raise
    if process.returncode:
        tail = (out + err).decode("utf-8", "replace").splitlines()[-TAIL:]
        status = process.returncode if process.returncode > 0 else 128 - process.returncode
        raise CommandFailed(f"{command.argv[0]} ended with exit code {status}", str(command), *tail)
    return out


def become(command: Command) -> NoReturn:
    """Let this process be `command` from now on: terminal, signals and exit status are the command's own. Raises CommandFailed."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.chdir(command.cwd or ".")
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # what is ignored stays so; handlers do not
        os.execvpe(command.argv[0], command.argv, dict(command.env))  # noqa: S606
    except OSError as error:
        raise CommandFailed(f"{command.argv[0]} cannot be started: {error.strerror}", str(command)) from error


def end_group(reactor: IReactorTime, transport: Any, after: float = KILL_AFTER) -> IDelayedCall | None:
    """Ask the process group of `transport` to end; end it `after` seconds later. One that has ended is left alone.

    Returns the timer, for whoever knows when it has ended.
    """
    pid = transport.pid
    if not pid:
        return None
    signal_process(pid, signal.SIGTERM)
    signal_group(pid, signal.SIGTERM)

    def kill() -> None:
        if transport.pid == pid:
            signal_process(pid, signal.SIGKILL)
            signal_group(pid, signal.SIGKILL)

    return reactor.callLater(after, kill)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process group that we made; nobody there any more is fine."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def signal_process(pid: int, number: int) -> None:
    """Send a signal to one process, which has not been reaped yet; gone is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
