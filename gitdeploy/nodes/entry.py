"""The first contact with a machine: its host keys are taken down, and whether it lets us in."""

from __future__ import annotations

import socket

from ..errors import CommandFailed, Refused
from ..runner import BASE_ENVIRON, Command, Runner
from . import commands
from .fleet import Fleet, Logins, Machine

SCAN = 15.0  # seconds that a machine gets to say its host keys
LOGIN = 30.0  # and to let us in
ANSWER = 5.0  # and to say anything at all


def silence(address: str, port: int) -> str | None:
    """None if something takes connections there, or why not. It blocks."""
    try:
        with socket.create_connection((address, port), ANSWER) as connection:
            connection.settimeout(ANSWER)
            return None if connection.recv(1) else "it closes the connection"
    except OSError as error:
        return error.strerror or str(error)


def scan(machine: Machine) -> tuple[str, ...]:
    """Asks a machine for its host keys."""
    return ("ssh-keyscan", "-T", "10", "-p", str(machine.port), "-t", "ed25519,ecdsa,rsa", "--", machine.address)


def scanned(text: str) -> list[str]:
    """The keys in what ssh-keyscan(1) says, ``ssh-ed25519 AAAA...``."""
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return [" ".join(row[1:3]) for row in rows if len(row) >= 3]


async def host_keys(runner: Runner, machine: Machine) -> list[str]:
    """The host keys of a machine that nobody has seen yet. Raises CommandFailed, or Refused if it says none."""
    said = await runner.run(Command(scan(machine), BASE_ENVIRON), timeout=SCAN, check=False)
    keys = scanned(said.decode("utf-8", "replace"))
    if not keys:
        raise Refused(f"{machine.address} port {machine.port} says no host key; is that an sshd?")
    return keys


async def enter(runner: Runner, fleet: Fleet, logins: Logins, machine: Machine) -> None:
    """Log in with the setup key, and become root. Raises CommandFailed."""
    command = ("true",) if machine.login == "root" else ("sudo", "-n", "true")
    shell = commands.ssh(machine, str(fleet.known_hosts), str(logins.setup))
    argv = commands.remote(shell, machine.login, machine, command)
    try:
        await runner.run(Command(argv, BASE_ENVIRON), timeout=LOGIN)
    except CommandFailed as error:
        said = error.details[1:] or (str(error),)
        raise CommandFailed(said[-1].strip(), *error.details) from error
