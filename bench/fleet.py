"""The two that deploy to machines: gitdeploy, and what one writes by hand with rsync, a symlink and a restart."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from project import ENVIRON
from sides import Gitdeploy, Sshd, end, keygen
from timing import Address

UNIT = """[Unit]
Description=an application, by hand
StartLimitIntervalSec=0

[Service]
WorkingDirectory=/srv/{app}/current
ExecStart=/usr/bin/python3 -m gunicorn --bind 0.0.0.0:{port} --worker-class gthread --workers 4 --threads 5 \\
    --worker-tmp-dir /dev/shm bench:application
KillMode=mixed

[Install]
WantedBy=multi-user.target
"""
HOOK = """#!/bin/sh
# What one writes by hand: check out with a kept index, send what changed, flip a symlink, restart, ask once.
unset GIT_QUARANTINE_PATH
export GIT_INDEX_FILE={tree}.index
git --work-tree={tree} read-tree --reset -u master || exit 1
new=$(git rev-parse master)
to_node() {{
    shell="{shell} -S $2"
    rsync -a --delete --link-dest=/srv/{app}/current/ -e "$shell" {tree}/ root@$1:/srv/{app}/$new/ &&
    $shell root@$1 "ln -sfn $new /srv/{app}/next && mv -T /srv/{app}/next /srv/{app}/current && systemctl restart {app}" || return 1
    for try in $(seq 100); do curl -sf http://$1:{port}/ >/dev/null && return; sleep 0.05; done
}}
{nodes}
wait
"""


class ByHand(Sshd):
    """sshd, a bare repository and a hook, which sends to `nodes` (the Node of tests/nodes/machines.py) over kept connections."""

    name = "by hand"

    def __init__(self, room: Path, nodes: Sequence[Any]) -> None:
        super().__init__(room)
        self.nodes = nodes
        self.masters: list[subprocess.Popen[bytes]] = []
        self.next_port = 8100

    def shell(self) -> str:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        key = self.nodes[0].machines.logins.setup
        return shlex.join(["ssh", "-F", "none", "-i", str(key), *(f"-o{option}" for option in options)])

    def socket(self, node: Any) -> str:
        return f"/tmp/bench-{node.name}-{self.room.parent.name[-6:]}"

    def start(self) -> None:
        super().start()
        for node in self.nodes:
            argv = [*shlex.split(self.shell()), "-M", "-N", "-S", self.socket(node), f"root@{node.address}"]
            self.masters.append(subprocess.Popen(argv))
        until = time.monotonic() + 30
        while not all(Path(self.socket(node)).exists() for node in self.nodes):
            assert time.monotonic() < until, "no connection to the nodes"
            time.sleep(0.05)

    def hook(self, app: str, path: Path) -> None:
        tree = self.room / app
        tree.mkdir()
        self.next_port += 1
        port = self.ports[app] = self.next_port
        nodes = self.nodes if app.startswith("all") else self.nodes[:1]
        lines = "\n".join(f"to_node {node.address} {self.socket(node)} &" for node in nodes)
        values = {"tree": tree, "app": app, "port": port, "shell": self.shell(), "nodes": lines}
        path.write_text(HOOK.format(**values))
        path.chmod(0o755)
        for node in nodes:
            node.ssh("mkdir", "-p", f"/srv/{app}")
            node.ssh("sh", "-c", f"cat > /etc/systemd/system/{app}.service", stdin=UNIT.format(**values).encode())
            node.ssh("systemctl", "daemon-reload")

    def addresses(self, app: str) -> list[Address]:
        nodes = self.nodes if app.startswith("all") else self.nodes[:1]
        return [Address(self.ports[app], "localhost", node.address) for node in nodes]

    def stop(self) -> None:
        for master in self.masters:
            end(master)
        super().stop()


class ToNodes(Gitdeploy):
    """A server of ours with the same nodes: an app is on the first of them, or, in the environment `all`, on every one."""

    def __init__(self, room: Path, nodes: Sequence[Any]) -> None:
        super().__init__(room)
        self.nodes = nodes

    def start(self) -> None:
        self.home.mkdir(parents=True, mode=0o700)
        providers = self.nodes[0].machines.lend(self.home, *self.nodes)
        names = ", ".join(node.name for node in self.nodes)
        first = self.nodes[0].name
        text = f"{providers}environments:\n  production: {{nodes: {first}}}\n  all: {{nodes: [{names}]}}\n"
        (self.home / "gitdeploy.yaml").write_text(text)
        keygen(self.room / "key")
        command = [sys.executable, "-m", "gitdeploy", "--home", str(self.home)]
        ports = ["--ssh", "tcp:0:interface=127.0.0.1", "--http", "tcp:0:interface=127.0.0.1"]
        with (self.room / "log").open("wb") as log:
            self.process = subprocess.Popen([*command, "server", *ports], stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit(f"gitdeploy does not start: {(self.room / 'log').read_text()}")
        self.ssh = int(words[1].rpartition(":")[2])
        key = (self.room / "key.pub").read_bytes()
        subprocess.run([*command, "keys:add", "bench"], input=key, check=True, timeout=30, stdout=subprocess.DEVNULL)
        self.wait_for_nodes(command)

    def wait_for_nodes(self, command: Sequence[str]) -> None:
        until = time.monotonic() + 60
        while True:
            done = subprocess.run(
                [*command, "nodes"], stdout=subprocess.PIPE, text=True, timeout=60, check=True, env={**ENVIRON}
            )
            if done.stdout.count(" up ") == len(self.nodes):
                return
            assert time.monotonic() < until, done.stdout
            time.sleep(0.2)

    def url(self, app: str, hook: bool = True) -> str:
        place = f"all/{app}" if app.startswith("all") else app
        return f"ssh://deploy@127.0.0.1:{self.ssh}/{place}"

    def addresses(self, app: str) -> list[Address]:
        if app.startswith("all"):
            return [Address(80, f"{app}.all.localhost", node.address) for node in self.nodes]
        return [Address(80, f"{app}.localhost", self.nodes[0].address)]

    def environment(self, app: str) -> str:
        return "all" if app.startswith("all") else "production"
