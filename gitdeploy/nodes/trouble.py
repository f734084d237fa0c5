"""What is wrong when a machine cannot be worked with, and what to do about it: told from what tools say. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import CommandFailed, Refused
from .fleet import Logins, Machine

SILENT = "ssh ended with exit code 255"
"""Where a kept connection was lost there is often no more to read: ssh(1) says why to nobody."""


def explained(machine: Machine, logins: Logins, error: CommandFailed, said: Sequence[str] = ()) -> Refused:
    """What a command on a machine failed with, and what to do about it; `said` is what it wrote to standard output before."""
    _, *details = error.details
    words, plain = advice(machine, logins, [str(error), *said, *details])
    return Refused(f"{machine.name}: {words}", *(() if plain else details))


def advice(machine: Machine, logins: Logins, said: Sequence[str]) -> tuple[str, bool]:
    """What is wrong and what to do, from what ssh, sudo, rsync and the machine `said`; the first line is what we say ourselves.

    Also whether that says it all, so that nobody needs to read the rest.
    """
    text = "\n".join(said)
    where = f"{machine.address}:{machine.port}"
    if "Host key verification failed" in text:
        shown = re.search(r"SHA256:[A-Za-z0-9+/]+", text)
        return (
            f"the machine at {where} has another host key than before{f' ({shown[0]})' if shown else ''} and was not talked to;"
            f" if it was made again on purpose: gitdeploy setup-node --new-host-key {machine.name}"
        ), True
    if found := re.search(r'Please login as the user "([^"\n]+)"', text):
        tell = f"gitdeploy create-node {machine.name} --from {where} --login {found[1]}"
        return f"it wants {found[1]} to log in, not {machine.login}; tell: {tell}", True
    if "Permission denied (" in text:
        public, file = logins.public(logins.setup), f"~{machine.login}/.ssh/authorized_keys"
        return f"{machine.login} may not log in with our key; add this line to {file} there: {public}", True
    if re.search(r"no matching host key type|No ED25519 host key", text):
        return f"its sshd at {where} has no ed25519 host key; make one there: ssh-keygen -A, then restart sshd", True
    if "Could not resolve hostname" in text:
        again = f"gitdeploy create-node {machine.name} --from HOST"
        return f"there is no host {machine.address}; correct the address: {again}", True
    if re.search(r"sudo: .*(password is required|not allowed)|not in the sudoers", text):
        return (
            f"{machine.login} needs sudo without a password there, or log in as root: create-node --login root",
            False,
        )
    if re.search(r"sudo: (command )?not found", text):
        return "there is no sudo; install it there, or log in as root: create-node --login root", False
    if "No space left on device" in text:
        return "its disk is full; make room there, then set it up again", False
    if re.search(r"closed by remote host|Broken pipe|not responding|[Cc]onnection reset|unexpectedly closed", text):
        return "the connection was lost; set it up again: it goes on where it was", False
    if re.search(r"^ssh: connect to host|^kex_exchange|^Connection", text, re.MULTILINE):
        return (
            f"it cannot be reached at {where}; see whether it runs (gitdeploy list-nodes) and lets us to that port",
            False,
        )
    if said[0] == SILENT:
        return "the connection was lost; set it up again: it goes on where it was", False
    return f"{said[0]}; see below", False
