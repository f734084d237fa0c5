"""The demo's server, and what is made for it: ports, a key, an ssh that knows this server and nothing else."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from terminal import BOLD, DIM, PLAIN, Terminal, Unexpected, limit, own_environ, say

from gitdeploy.home import Home

GITDEPLOY = str(Path(sys.executable).with_name("gitdeploy"))


def endpoint(preferred: int) -> str:
    """A Twisted endpoint string on loopback: the preferred port if it is free, else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            preferred = 0
    return f"tcp:{preferred}:interface=127.0.0.1"


class Server:
    """A gitdeploy server of our own, in a session of its own so that Ctrl-C reaches only us. It ends with us, however we end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home.with_name("server.log")
        command = ["gitdeploy", "server", "--ssh", endpoint(2222), "--http", endpoint(8080)]
        say(f"{BOLD}$ {shlex.join([*command[:2], '--home', '.demo/server', *command[2:]])} &{PLAIN}")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", GITDEPLOY, *command[1:], "--home", str(home)],
                cwd=home.parent, env=own_environ(), start_new_session=True, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def ready(self) -> tuple[int, int]:
        """Wait for the line that says where it listens; returns the ports of ssh and http."""
        assert self.process.stdout is not None
        with limit("the server to be ready"):
            line = self.process.stdout.readline().rstrip()
        say(f"{DIM}{line}{PLAIN}\n")
        found = re.fullmatch(r"ready ssh=127\.0\.0\.1:(\d+) http=127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise Unexpected(f"expected the server to say where it listens; see {self.log}:\n{self.log.read_text()}")
        return int(found[1]), int(found[2])

    def stop(self) -> None:
        """Ask it to end; it stops the applications. Whatever is left after 30 seconds is killed."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        shutil.rmtree(Home(self.home).run, ignore_errors=True)  # sockets; not in its home where that has a long path


def make_ssh(directory: Path, server: Server, port: int) -> Path:
    """A command that is ssh with a key of its own, which knows this server and nothing else; returns its path."""
    key, known, ssh = directory / "key", directory / "known_hosts", directory / "ssh"
    Terminal(directory).quiet("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(key))
    public = (server.home / "host_key" / "ssh_host_ed25519_key.pub").read_text()
    known.write_text(f"[127.0.0.1]:{port} {public}")
    options = ["IdentitiesOnly=yes", "IdentityAgent=none", f'IdentityFile="{key}"', f'UserKnownHostsFile="{known}"']
    options += ["GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "BatchMode=yes"]
    words = ["ssh", "-F", "/dev/null", *(word for option in options for word in ("-o", option.replace("%", "%%")))]
    ssh.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    ssh.chmod(0o755)
    return ssh


def left(directory: Path) -> list[str]:
    """The processes that have to do with what is in `directory` and still run, by their command lines (proc(5))."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{directory}/" in line and int(path.parent.name) != os.getpid():
            found.append(f"{path.parent.name} {line}")
    return found
