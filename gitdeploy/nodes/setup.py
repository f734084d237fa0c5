"""Sets up one machine: its files are laid over /, one script makes it agree with them. Safe to repeat, whatever was interrupted."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import CommandFailed, Refused
from ..runner import BASE_ENVIRON, Command, Runner
from . import commands, hostkey
from .fleet import BALANCER, Fleet, Logins, Machine
from .kit import PACKAGE, File, Outfit
from .trouble import explained

AUTHORIZED = "etc/gitdeploy/authorized_keys"
PACKAGES = 1800.0  # seconds
COPY = 300.0
BUSY = 240.0  # until it is given up to wait for who works on the machine
SETTLE = 300.0
TRY = 60.0
REFUSAL = "! "
NAMED = 6  # files that are told by name

LOCK = "/run/gitdeploy/kit.lock"
"""Shared by those who have loaded our package on a machine (usr/lib/gitdeploy/node), taken by who changes it."""

LAY = ("--checksum", "--perms", "--owner", "--group", "--chown=root:root", "--itemize-changes")
"""By content and mode, whatever the times; everything is root's."""


def authorized(public: str) -> str:
    """authorized_keys of the user that the server logs in as: commands, and none of ssh's other gifts."""
    return f"restrict {public}\n"


def sudo(machine: Machine, *command: str) -> tuple[str, ...]:
    """A command as root on a machine that we log in to for its set-up."""
    return command if machine.login == "root" else ("sudo", "-n", "--", *command)


def lay_over(machine: Machine, shell: Sequence[str], source: str) -> tuple[str, ...]:
    """Lay the files whose names come on standard input over / of a machine; its directories stay as they are."""
    return (
        *_rsync(machine, shell),
        "--files-from=-",
        "--from0",
        "--no-implied-dirs",
        "--",
        f"{source}/",
        _at(machine, "/"),
    )


def mirror(machine: Machine, shell: Sequence[str], source: str) -> tuple[str, ...]:
    """Make our package on a machine the same as in `source`; what Python compiled there stays, but for what goes with it.

    Whoever works with it there, for a deploy, is waited for, and all of it changes at once.
    """
    there = _at(machine, f"/{PACKAGE}/")
    alone = ("flock", "--timeout", f"{BUSY:g}", LOCK, "rsync")
    return (
        *_rsync(machine, shell, alone),
        "--recursive",
        "--delete-after",
        "--delay-updates",
        "--filter=-p __pycache__/",
        "--",
        f"{source}/{PACKAGE}/",
        there,
    )


def _rsync(machine: Machine, shell: Sequence[str], there: Sequence[str] = ("rsync",)) -> tuple[str, ...]:
    rsh = shlex.join((*shell, "-l", machine.login))
    return ("rsync", *LAY, "--rsh", rsh, "--rsync-path", shlex.join(sudo(machine, *there)))


def _at(machine: Machine, path: str) -> str:
    """``HOST:PATH``; an IPv6 address stands in brackets."""
    host = f"[{machine.address}]" if ":" in machine.address else machine.address
    return f"{host}:{path}"


def changes(output: str) -> str:
    """What rsync --itemize-changes says that it did to files, in a line: some by name, all counted. Empty if it did nothing."""
    found = []
    for line in output.splitlines():
        flags, _, path = line.partition(" ")
        if flags == "*deleting":
            found.append(f"{path.strip()} (removed)")
        elif flags[1:2] == "f":
            found.append(f"{path}{' (new)' if '+' in flags else ''}")
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


class Lines:
    """Passes on whole lines of what the script writes; `seen` are those so far. Why it refuses becomes an error instead."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.rest, self.seen = say, b"", list[str]()

    def write(self, data: bytes) -> None:
        *whole, self.rest = (self.rest + data).split(b"\n")
        for line in whole:
            self.line(line)

    def end(self) -> None:
        if self.rest:
            self.line(self.rest)
        self.rest = b""

    def line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.seen.append(text)
        if not text.startswith(REFUSAL):
            self.say(text)


@dataclass(frozen=True)
class Setup:
    """Sets up `machine` with `outfit`; `say` gets a line for everything that it changes there."""

    runner: Runner
    fleet: Fleet
    logins: Logins
    machine: Machine
    outfit: Outfit
    say: Callable[[str], None]

    async def run(self, new_host_key: bool = False) -> None:
        """Do it all, in order. Raises Refused with what to do; whatever was done by then is no harm, and is not done again."""
        if BALANCER in self.machine.roles and len(self.machine.roles) > 1:
            raise Refused(f"{self.machine.name} is to be a balancer and more; both want port 80: take two machines")
        told = Lines(self.say)
        met = await hostkey.known(self.runner, self.fleet, self.logins, self.machine, new_host_key)
        if met:
            told.line(met.encode())
        with TemporaryDirectory(prefix="gitdeploy-") as directory:
            shell = commands.kept(
                self.shell(self.logins.setup), f"{directory}/ssh"
            )  # to log in takes longer than most of it
            try:
                await self.script(shell, told, "packages", self.outfit.role)
                await self.files(shell, told)
                await self.script(shell, told, "settle", self.outfit.role, self.outfit.version)
            finally:
                argv = commands.let_go(shell, self.machine)
                await self.runner.run(Command(argv, BASE_ENVIRON), timeout=TRY, check=False)
        await self.enter()
        self.fleet.change(self.machine.name, setup=self.outfit.version)
        changed = [line for line in told.seen if not line.startswith("warning: ")]
        self.say("ready" if changed else "nothing changed")

    def shell(self, key: Path) -> tuple[str, ...]:
        return commands.ssh(self.machine, str(self.fleet.known_hosts), str(key))

    async def script(self, shell: Sequence[str], told: Lines, *words: str) -> None:
        """Run the script on the machine. When it refuses, it has said all that there is to say before."""
        argv = commands.remote(
            shell,
            self.machine.login,
            self.machine,
            sudo(self.machine, "sh", "-s", "--", *words),
        )
        limit = PACKAGES if words[0] == "packages" else SETTLE
        try:
            await self.runner.run(
                Command(argv, BASE_ENVIRON), stdin=self.outfit.script, timeout=limit, on_output=told.write
            )
        except CommandFailed as error:
            told.end()
            refusals = [line.removeprefix(REFUSAL) for line in told.seen if line.startswith(REFUSAL)]
            if refusals:
                raise Refused(f"{self.machine.name}: {refusals[-1]}") from error
            raise explained(self.machine, self.logins, error, told.seen[-5:]) from error

    async def files(self, shell: Sequence[str], told: Lines) -> None:
        """Lay the files over the machine's, and mirror our package."""
        with TemporaryDirectory(prefix="gitdeploy-") as directory:
            for file in self.outfit.files:
                write(Path(directory), file)
            laid = [file.path for file in self.outfit.files if not file.path.startswith(f"{PACKAGE}/")]
            await self.rsync(told, f"/{PACKAGE}", mirror(self.machine, shell, directory), "", BUSY + COPY)
            names = "".join(
                f"{path}\0" for path in laid
            )  # what is there runs with the new package, not the other way round
            await self.rsync(told, "/", lay_over(self.machine, shell, directory), names, COPY)

    async def rsync(self, told: Lines, what: str, argv: tuple[str, ...], names: str, limit: float) -> None:
        try:
            output = await self.runner.run(Command(argv, BASE_ENVIRON), stdin=names.encode(), timeout=limit)
        except CommandFailed as error:
            raise explained(self.machine, self.logins, error) from error
        done = changes(output.decode("utf-8", "replace"))
        if done:
            told.line(f"{what}: {done}".encode())

    async def enter(self) -> None:
        """Log in as the server will, and start the node's side of its work."""
        argv = commands.remote(self.shell(self.logins.server), commands.USER, self.machine, commands.AGENT)
        try:
            await self.runner.run(Command(argv, BASE_ENVIRON), timeout=TRY)
        except CommandFailed as error:
            raise Refused(
                f"{self.machine.name}: it is set up, but the server cannot work on it; see below and set it up again",
                *error.details[1:],
            ) from error


def write(directory: Path, file: File) -> None:
    """Write a file below a directory, with its mode."""
    path = directory / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    path.chmod(file.mode)
