"""An app on three machines behind a server of its own, whose every answer tells the version that it is of."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from gitdeploy.control import ask
from gitdeploy.home import Home

from ..functional.session import App, Done, Running, Server, eventually, run
from .machines import Machines, Node
from .visitors import PAGE, Visitors

ROOT = Path(__file__).parents[2]
SETTINGS = """\
web: {processes: 1}
environments: {production: {nodes: [%s]}}
limits: {step: 30s, boot: 20s, wait: 60s}
keep: {versions: 2}
"""
HOST = "shop.localhost"
AGENT = "/usr/lib/gitdeploy/node"
CODE = """\
import os, time

NUMBER = "%d"
HERE = os.path.dirname(__file__)

def hold(what):
    place = "/var/lib/apps/shop/"
    if os.path.exists(place + "hold-" + what):
        open(place + "reached", "w").close()
        while os.path.exists(place + "hold-" + what):
            time.sleep(0.02)

hold("boot")

def application(environ, start_response):
    if environ["PATH_INFO"] == "/ping":
        hold("check")
    with open(HERE + "/part.txt") as part:
        body = NUMBER + " " + part.read() + " " + NUMBER
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""
SLOW_SSH = """\
import os, subprocess, sys, time

hold, *argv = sys.argv[1:]
child = subprocess.Popen(argv, stdin=subprocess.PIPE, bufsize=0)
sent = 0
while data := os.read(0, 65536):
    sent += len(data)
    if sent > 100_000 and os.path.exists(hold):
        open(os.path.join(os.path.dirname(hold), "reached"), "w").close()
        while os.path.exists(hold):
            time.sleep(0.02)
    child.stdin.write(data)
child.stdin.close()
sys.exit(child.wait())
"""


def read(path: str, body: str) -> int:
    """The number of the version that an answer is of. Raises ValueError if it is of none, or of several."""
    numbers = set(body.split())
    if len(numbers) != 1 or len(body.split()) != (3 if path == PAGE else 1):
        raise ValueError(f"not of one version: {body[:60]!r}")
    return int(numbers.pop())


class Shop:
    """The app, its server (which may be stopped at a moment: tests.functional.faults), and the nodes."""

    def __init__(self, machines: Machines, nodes: list[Node], top: Path) -> None:
        self.nodes, self.top = nodes, top
        provider = machines.lend(top / "h", *nodes)
        self.server = Server(top, SETTINGS % ", ".join(node.name for node in nodes) + provider)
        self.fault, self.pack, self.reached = top / "fault", top / "pack", top / "reached"
        self.slow_ssh = top / "slow_ssh.py"
        self.slow_ssh.write_text(SLOW_SSH)
        self.server.key("key")
        self.start()
        self.server.gitdeploy("keys:add", "alice", stdin=(self.server.user / "key.pub").read_bytes()).ok()
        self.app: App = self.server.app("shop")
        self.number = 0

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), self.server.env.get("PYTHONPATH", "")])
        self.server.start("tests.functional.faults", FAULT=str(self.fault), HASTE="yes", PYTHONPATH=path)

    # Versions.

    def commit(self, deb: str = "") -> int:
        """The next version, which says its number in code, in a file beside it, and in a static file."""
        self.number += 1
        description = "platform: python, wsgi\napp: shop:application\nping: /ping\n" + (
            f"deb: [{deb}]\n" if deb else ""
        )
        self.app.commit(
            f"Number {self.number}",
            {
                "app.yaml": description,
                "shop.py": CODE % self.number,
                "part.txt": str(self.number),
                "static/number.txt": str(self.number),
                "random.bin": os.urandom(150_000),
            },
        )
        return self.number

    def push(self) -> Done:
        return self.app.push("-f", "deploy", "master")

    def pushing(self) -> closing[Running]:
        """A push under way, for ``with``; one that sends its pack in two halves, if it is told to."""
        ssh = f"{sys.executable} {self.slow_ssh} {self.pack} {self.server.env['GIT_SSH_COMMAND']}"
        argv = ["git", "push", "--progress", "-f", "deploy", "master"]
        return closing(Running(argv, {**self.server.env, "GIT_SSH_COMMAND": ssh}, self.app.directory))

    def visitors(self) -> Visitors:
        return Visitors({node.name: node.address for node in self.nodes}, HOST, read)

    # What is there.

    def ref(self) -> int:
        """The number of the version that the ref names."""
        return int(self.app.git("log", "-1", "--format=%s", self.app.live()).split()[1])

    def served(self) -> dict[str, int]:
        """The number that each node answers."""
        visitors = self.visitors()
        return {node.name: read(PAGE, visitors.ask(node.address, PAGE)[1]) for node in self.nodes}

    def verified(self) -> bool:
        """Whether `gitdeploy verify` finds every node as it should be."""
        return self.server.gitdeploy("verify", "shop").status == 0

    def settled(self, limit: float = 30.0) -> None:
        """Wait until every node serves what the ref says, is in service, and has nothing else left of any deploy."""
        found: list[str] = []

        def well() -> bool:
            found[:] = self.problems()
            return not found

        try:
            eventually("all nodes are as they should be", well, limit)
        except AssertionError:
            raise AssertionError("\n".join([*found, self.server.gitdeploy("verify", "shop").text])) from None

    def problems(self) -> list[str]:
        out = io.StringIO()
        ask(Home(self.server.home).control, "root", ["verify", "shop", "--json"], "", out, out)
        try:
            rows = json.loads(out.getvalue())
        except ValueError:
            return [f"verify says {out.getvalue()!r}"]
        told = [f"{row['node']}: {problem}" for row in rows for problem in row["problems"]]
        if told:
            return told
        recorded = self.app.git("ls-remote", "deploy", "refs/releases/*").split("\n")
        releases = {line.rpartition("/")[2] for line in recorded if not line.endswith("^{}")}
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda node: leftovers(node, releases), self.nodes))
        return [f"{node.name}: {left}" for node, lefts in zip(self.nodes, found, strict=True) for left in lefts]


def leftovers(node: Node, releases: set[str]) -> list[str]:
    """What there is on a node of deploys that did not come to their end, or that should have been pruned."""
    home = node.root / "srv/apps/shop"
    there = {path.name for path in (home / "releases").iterdir()}
    versions = {path.name for path in (home / "versions").iterdir()}
    used = {os.readlink(home / "releases" / name / "tree").rpartition("/")[2] for name in there & releases}
    kept = {f"{prefix}{commit}" for commit in used for prefix in ("", ".index-", ".spare-", ".static-")}
    listed = inside(node, "systemctl", "list-units", "--all", "--plain", "--no-legend", "app-*").splitlines()
    units = {line.partition("@")[2].partition(".")[0] for line in listed if " inactive " not in line}
    found = [f"release {name}" for name in there - releases]
    found += [f"in versions: {name}" for name in versions - kept]
    found += [f"unit of {name}" for name in units - there]
    if not found and (busy := workers(node)):
        time.sleep(0.2)  # those that answered `verify` are about to end
        found += [f"process: {busy[pid]}" for pid in busy.keys() & workers(node).keys()]
    found += [str(path) for path in (node.root / "etc/nginx/gitdeploy").glob(".*")]
    found += [str(path) for path in (node.root / "tmp").glob("gitdeploy-*")]
    if not (Path(f"/proc/{leader(node)}/root") / "run/gitdeploy/in-service").exists():
        found.append("it is not in service")
    return found


def leader(node: Node) -> int:
    """The number of the node's init on this machine; 0 if there is none."""
    for pid, is_nspawn in node.container.processes().items():
        if is_nspawn:
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                return int(child)
    return 0


def inside(node: Node, *argv: str) -> str:
    """What a command on a node writes, whether its cable is plugged in or not."""
    return run(["nsenter", "--all", "--target", str(leader(node)), "--", *argv], os.environ, ROOT).out


def workers(node: Node) -> dict[int, str]:
    """What runs on a node for deploys."""
    return {pid: line for pid, line in processes(node).items() if AGENT in line or "rsync --server" in line}


def agents(node: Node) -> list[int]:
    """Its buildless.node, if there is one: not the sudo before it."""
    return [pid for pid, line in processes(node).items() if AGENT in line and not line.startswith("sudo")]


def processes(node: Node) -> dict[int, str]:
    """The processes on a node by their number on this machine: their command lines."""
    found = {}
    space = os.readlink(f"/proc/{leader(node)}/ns/pid")
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "ns/pid") == space:
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
    return found
