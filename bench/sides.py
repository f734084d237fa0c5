"""The two that are compared: sshd with a hook written by hand, and gitdeploy; each on ports and in a directory of its own."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from project import ENVIRON
from timing import Address

PYTHON = shutil.which("/usr/bin/python3") or sys.executable  # the one that gitdeploy runs applications with
SSHD_CONFIG = """ListenAddress 127.0.0.1
Port {port}
HostKey {room}/host_key
AuthorizedKeysFile {room}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
HOOK = """#!/bin/sh
# What one writes by hand: check the tree out, start gunicorn again.
unset GIT_QUARANTINE_PATH
git --work-tree={tree} checkout --quiet --force master || exit 1
cd {tree} || exit 1
if [ -e {pid} ]; then
    old=$(cat {pid})
    kill "$old"
    while kill -0 "$old" 2>/dev/null; do sleep 0.02; done
fi
PYTHONPATH={library} {python} -m gunicorn --daemon --pid {pid} --bind 127.0.0.1:{port} \\
    --worker-class gthread --workers 4 --threads 5 --worker-tmp-dir /dev/shm bench:application
"""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)


def end(process: subprocess.Popen[Any], seconds: float = 30) -> None:
    """End a process that we started."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)


class Sshd:
    """OpenSSH's server and bare repositories; those for applications have the hook."""

    name = "sshd + hook"

    def __init__(self, room: Path) -> None:
        self.room, self.port, self.ports = room, free_port(), dict[str, int]()
        self.made: list[Path] = []
        self.library = room / "lib"

    def start(self) -> None:
        self.library.mkdir(parents=True)
        for name in ("gunicorn", "packaging"):
            spec = importlib.util.find_spec(name)
            assert spec is not None and spec.submodule_search_locations, f"{name} is not installed"
            (self.library / name).symlink_to(next(iter(spec.submodule_search_locations)))
        keygen(self.room / "host_key")
        keygen(self.room / "key")
        config = self.room / "sshd_config"
        config.write_text(SSHD_CONFIG.format(port=self.port, room=self.room))
        separation = Path("/run/sshd")  # sshd wants it to be there when it runs as root
        if os.getuid() == 0 and not separation.exists():
            separation.mkdir(mode=0o755)
            self.made.append(separation)
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
        if sshd is None:
            raise SystemExit("sshd is not installed: apt-get install openssh-server")
        with (self.room / "log").open("wb") as log:
            self.process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log)
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as one:
                if one.recv(4) == b"SSH-":
                    return
            time.sleep(0.05)
        raise SystemExit(f"sshd does not start: {(self.room / 'log').read_text()}")

    def url(self, app: str, hook: bool = True) -> str:
        """Where to push `app` to; its repository is made when it is asked for first."""
        path = self.room / f"{app}.git"
        if not path.exists():
            subprocess.run(["git", "init", "--quiet", "--bare", str(path)], env=ENVIRON, check=True, timeout=30)
            if hook:
                self.hook(app, path / "hooks" / "post-receive")
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def hook(self, app: str, path: Path) -> None:
        tree = self.room / app
        tree.mkdir()
        self.ports[app] = free_port()
        values = {"tree": tree, "pid": f"{tree}.pid", "library": self.library, "python": PYTHON}
        path.write_text(HOOK.format(port=self.ports[app], **values))
        path.chmod(0o755)

    def address(self, app: str) -> Address:
        """Where `app` answers."""
        return Address(self.ports[app], "localhost")

    def stop(self) -> None:
        for path in self.room.glob("*.pid"):
            with suppress(OSError, ValueError):
                pid = int(path.read_text())
                os.kill(pid, signal.SIGTERM)
                deadline = time.monotonic() + 10
                while time.monotonic() < deadline:  # it is no child of ours; kill(2) says when it has gone
                    os.kill(pid, 0)
                    time.sleep(0.02)
                os.kill(pid, signal.SIGKILL)
        end(self.process)
        for path in self.made:
            with suppress(OSError):
                path.rmdir()


class Gitdeploy:
    """A server of ours with the embedded node, as ``gitdeploy server`` makes it on its first start."""

    name = "gitdeploy"

    def __init__(self, room: Path) -> None:
        self.room, self.home = room, room / "home"

    def start(self) -> None:
        self.room.mkdir(parents=True)
        keygen(self.room / "key")
        command = [sys.executable, "-m", "gitdeploy", "--home", str(self.home)]
        ports = ["--ssh", "tcp:0:interface=127.0.0.1", "--http", "tcp:0:interface=127.0.0.1"]
        with (self.room / "log").open("wb") as log:
            self.process = subprocess.Popen([*command, "server", *ports], stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit(f"gitdeploy does not start: {(self.room / 'log').read_text()}")
        self.ssh, self.http = (int(word.rpartition(":")[2]) for word in words[1:])
        key = (self.room / "key.pub").read_bytes()
        subprocess.run([*command, "keys:add", "bench"], input=key, check=True, timeout=30, stdout=subprocess.DEVNULL)

    def url(self, app: str, hook: bool = True) -> str:
        """Where to push `app` to. What must not be deployed is pushed as a tag: then `hook` says nothing here."""
        return f"ssh://deploy@127.0.0.1:{self.ssh}/{app}"

    def address(self, app: str) -> Address:
        return Address(self.http, f"{app}.localhost")

    def environment(self, app: str) -> str:
        """Where `url` deploys an app to."""
        return "production"

    def stages(self, app: str) -> dict[str, float]:
        """Seconds of each stage of the last deploy of `app`; ``total`` is all that the journal has of it."""
        place = self.home / "deploys" / app / self.environment(app)
        entries = sorted(place.glob("d*.jsonl"), key=lambda path: int(path.stem[1:]))
        events = [json.loads(line) for line in entries[-1].read_text().splitlines()]
        found = {event["stage"]: float(event["seconds"]) for event in events if event["event"] == "stage-end"}
        found.pop("retire", None)  # nobody waits for that
        return {**found, "total": next(float(event["seconds"]) for event in events if event["event"] == "end")}

    def stop(self) -> None:
        end(self.process, 60)
