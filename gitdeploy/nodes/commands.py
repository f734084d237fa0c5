"""The command lines that nodes need, as argv tuples; pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .fleet import Machine

AGENT = ("sudo", "-n", "/usr/lib/gitdeploy/node")
"""What the server may do on a machine, as root: start the node's side of the work, and nothing else."""
USER = "gitdeploy"
"""Who the server logs in as on a machine."""
CONNECT = 10  # seconds that a machine gets to take a connection
ALIVE = 3  # seconds between signs of life; after ALIVE_COUNT without one the connection is lost
ALIVE_COUNT = 3


def rsync(source: str, destination: str, shell: Sequence[str] = (), *, whole: bool = False) -> tuple[str, ...]:
    """Copy the files whose names come on standard input, each ended by NUL, as they are: bytes, executable bits, symlinks.

    Takes the directory they are in and the one they go to (``HOST:DIR`` for a remote one, reached by `shell`). See rsync(1).
    With `whole` it is everything in the one directory, and the other one is empty: no names are compared, and none is
    written under a temporary name first, which takes a third of the time.
    """
    which = ("--recursive", "--inplace") if whole else ("--from0", "--files-from=-")
    what = (*which, "--links", "--perms", "--whole-file")
    remote = ("--rsh", shlex.join(shell)) if shell else ()
    return ("rsync", *what, *remote, "--info=progress2", "--no-inc-recursive", "--", f"{source}/", f"{destination}/")


def agent(python: str, root: str) -> tuple[str, ...]:
    """The node's side of a deploy, answering requests on its standard input."""
    return (python, "-I", "-m", "buildless.node", "--root", root)


def web(python: str, release: str) -> tuple[str, ...]:
    """The web process type of the release in a directory: it listens on descriptor 3 and says on 4 that it is ready."""
    return (python, "-m", "buildless.web", release, "--fd", "3", "--ready-fd", "4")


def process(python: str, release: str, name: str) -> tuple[str, ...]:
    """A process type that is a command; if it answers requests it listens as the web process does. ``NAME.2`` is a worker."""
    return (python, "-m", "buildless.process", release, name, "--fd", "3", "--ready-fd", "4")


def ssh(machine: Machine, known_hosts: str, key: str) -> tuple[str, ...]:
    """ssh(1) with all but the destination: nobody's configuration, one key, pinned host keys under the machine's name."""
    options = {
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": machine.name,
        "CheckHostIP": "no",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT),
        "ServerAliveInterval": str(ALIVE),
        "ServerAliveCountMax": str(ALIVE_COUNT),
        "LogLevel": "ERROR",
        "Ciphers": "^aes128-gcm@openssh.com",  # in hardware nearly everywhere; ssh's own first choice takes half as long again
    }
    said = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ("ssh", "-F", "none", "-T", "-a", "-x", "-p", str(machine.port), *said)


def remote(shell: Sequence[str], user: str, machine: Machine, command: Sequence[str]) -> tuple[str, ...]:
    """`command` on a machine, as `user`: quoted once, here, since sshd hands it to a shell."""
    return (*shell, "-l", user, "--", machine.address, shlex.join(command))


def master(shell: Sequence[str], machine: Machine, socket: str) -> tuple[str, ...]:
    """A connection that is kept, for others to go through the `socket` (ssh_config(5), ControlMaster); it says when it is there."""
    kept = ("-M", "-N", "-S", socket, "-o", "ControlPersist=no")
    said = ("-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo up")
    return (*shell, *kept, *said, "-l", USER, "--", machine.address)


def through(shell: Sequence[str], socket: str) -> tuple[str, ...]:
    """ssh(1) through a kept connection, and in no other way: without one it fails at once instead of making its own."""
    return (*shell, "-S", socket, "-o", "ControlMaster=no", "-o", "ProxyCommand=false")


def kept(shell: Sequence[str], socket: str) -> tuple[str, ...]:
    """ssh(1) whose first connection is kept for the next ones, for a minute after the last at most; see `let_go`."""
    return (*shell, "-S", socket, "-o", "ControlMaster=auto", "-o", "ControlPersist=60")


def let_go(shell: Sequence[str], machine: Machine) -> tuple[str, ...]:
    """End the connection that `kept` keeps."""
    return (*shell, "-O", "exit", "--", machine.address)
