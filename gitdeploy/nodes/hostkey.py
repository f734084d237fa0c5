"""The host key of a machine: seen at the first contact, shown, and kept; from then on a machine must have it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import CommandFailed
from ..runner import BASE_ENVIRON, Command, Runner
from . import commands
from .fleet import Fleet, Logins, Machine
from .trouble import explained

FIRST = 60.0  # seconds


def fingerprint(key: str) -> str:
    """``SHA256:...`` of a public key (``ssh-ed25519 AAAA...``), as ssh-keygen -l shows it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


async def meet(runner: Runner, machine: Machine, logins: Logins) -> str:
    """Log in on a machine whose host key is not known, as whom it is set up by; returns that key. Raises Refused."""
    with TemporaryDirectory(prefix="gitdeploy-") as directory:
        known = Path(directory) / "known_hosts"
        shell = commands.ssh(machine, str(known), str(logins.setup))
        seen = ("-o", "StrictHostKeyChecking=accept-new", "-o", "HostKeyAlgorithms=ssh-ed25519")
        argv = commands.remote((*shell[:1], *seen, *shell[1:]), machine.login, machine, ("true",))
        said: list[bytes] = []
        try:
            await runner.run(Command(argv, BASE_ENVIRON), timeout=FIRST, on_output=said.append)
        except CommandFailed as error:
            raise explained(machine, logins, error, [b"".join(said).decode("utf-8", "replace")]) from error
        return known.read_text(encoding="utf-8").partition(" ")[2].strip()


async def known(runner: Runner, fleet: Fleet, logins: Logins, machine: Machine, again: bool = False) -> str | None:
    """Have a host key pinned for a machine; `again` takes the one that it has now for the right one. Raises Refused.

    Returns what to tell about it, or None when the key was known.
    """
    before = fleet.pinned(machine.name)
    if before and not again:
        return None
    key = await meet(runner, machine, logins)
    if key in before:
        return None
    fleet.pin(machine.name, (key,))
    instead = f", no longer {', '.join(fingerprint(one) for one in before)}" if before else ""
    return f"host key {fingerprint(key)}{instead}: only a machine with this key is {machine.name} from now on"
