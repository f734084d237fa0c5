"""Real Debian machines for tests: made by create-node and set up by setup-node on this machine, all of them gone at the end."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.local.table import LOCAL
from gitdeploy.nodes import commands
from gitdeploy.nodes.container import Container
from gitdeploy.nodes.fleet import Fleet, Logins, Machine
from gitdeploy.nodes.nspawn import PROGRAMS, NspawnNodeDriver
from gitdeploy.runner import call

ROOT = Path(__file__).parent.parent.parent
TOP = Path("/var/tmp/gitdeploy-tests")
CACHE = Path(os.environ.get("GITDEPLOY_TEST_CACHE", "/var/cache/gitdeploy"))
KEYS = CACHE / "test-ssh"
"""The keys of all test servers: a set-up node lets the server's key in, so that a snapshot of one is good for every run."""
LIMIT = 300.0  # seconds that a command may take
MAKING = 1800.0  # and those that have Debian made from packages
SET_UP_BY = ("node-setup", "buildless", "gitdeploy/nodes", "gitdeploy/config.py")
"""What decides how a node is set up, in this checkout."""


def lacking() -> str:
    """Why there can be no machines here; empty if there can."""
    if os.geteuid() != 0:
        return "nspawn machines need root"
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    return f"nspawn machines need {', '.join(missing)}" if missing else ""


def can_set_up() -> bool:
    return "setup-node" in LOCAL or (ROOT / "gitdeploy" / "setup_node.py").exists()


def set_up_version() -> str:
    """A hash of everything that a set-up node is made from."""
    digest = hashlib.sha256((CACHE / "debian-12").stat().st_mtime.hex().encode())
    for top in SET_UP_BY:
        for path in sorted([ROOT / top, *(ROOT / top).rglob("*")]):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(ROOT)} {path.stat().st_mode}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


class Node:
    """One machine. Faults are made from outside, as they happen: by its cable, its power, its disk."""

    def __init__(self, machines: Machines, machine: Machine) -> None:
        self.machines, self.name, self.address = machines, machine.name, machine.address

    def __repr__(self) -> str:
        return f"<{self.name} at {self.address}>"

    @property
    def record(self) -> Machine:
        return self.machines.fleet.get(self.name)

    def ssh(self, *command: str, stdin: bytes | None = None, limit: float = 60.0, check: bool = True) -> str:
        """Run a command on it as root, with the setup key; returns what it wrote. ``node.ssh("sh", "-c", "...")`` for a shell."""
        fleet, logins = self.machines.fleet, self.machines.logins
        argv = commands.remote(
            commands.ssh(self.record, str(fleet.known_hosts), str(logins.setup)), "root", self.record, command
        )
        done = subprocess.run(
            argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, timeout=limit, capture_output=True
        )  # fmt: skip
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0 or not check, f"{self.name}: {command} ended with {done.returncode}\n{text}"
        return done.stdout.decode("utf-8", "replace") if check else text

    def up(self, limit: float = 60.0) -> None:
        """Wait until it lets us in and has started everything."""
        until = time.monotonic() + limit
        while True:
            try:
                state = self.ssh("systemctl", "is-system-running", "--wait", check=False, limit=limit).strip()
            except subprocess.TimeoutExpired:
                state = ""
            if state in ("running", "degraded"):
                return
            assert time.monotonic() < until, f"{self.name} is not up after {limit:g} s: {state}"
            time.sleep(0.1)

    @property
    def state(self) -> str:
        [state] = [str(one.state) for one in self.machines.driver.list_nodes() if one.name == self.name]
        return state

    def of_driver(self) -> object:
        [found] = [one for one in self.machines.driver.list_nodes() if one.name == self.name]
        return found

    def reboot(self) -> None:
        """In an orderly way, as `reboot` does; returns at once."""
        self.machines.driver.reboot_node(self.of_driver())

    def cycle(self) -> None:
        """Reboot in an orderly way, and wait until it is up again."""
        asked = ("systemctl", "show", "-P", "InactiveExitTimestamp", "ssh")
        before = self.ssh(*asked)
        self.reboot()
        eventually(f"{self.name} reboots", lambda: self.ssh(*asked, check=False) != before)
        self.up()

    def stop(self) -> None:
        """In an orderly way."""
        self.machines.driver.stop_node(self.of_driver())

    def power_off(self) -> None:
        """The plug is pulled."""
        self.container.stop(0)

    def start(self) -> None:
        """Begin to boot; see `up`."""
        self.machines.driver.start_node(self.of_driver())

    @property
    def container(self) -> Container:
        """Without a look at all others, for which their processes would be searched: tests ask for it all the time."""
        return Container(self.machines.directory / "nodes" / self.name, call)

    @property
    def root(self) -> Path:
        """Its files, from outside."""
        return self.container.root

    # Its cable.

    @property
    def link(self) -> str:
        return self.machines.driver.wiring.network.link(self.name)

    def cut(self) -> None:
        """Pull the network cable."""
        run("ip", "link", "set", self.link, "down")

    def hang(self) -> None:
        """The network takes what is sent and answers nothing: no reset, no error. Frames are dropped at both ends of its cable."""
        for where, device in self.ends():
            chain = f"{{type filter hook ingress device {device} priority 0; policy drop;}}"
            run(*where, "nft", f"add table netdev hang_{device}; add chain netdev hang_{device} in {chain}")

    def mend(self) -> None:
        """Undo `cut` and `hang`."""
        run("ip", "link", "set", self.link, "up")
        for where, device in self.ends():
            run(*where, "nft", f"add table netdev hang_{device}; delete table netdev hang_{device}")

    def ends(self) -> list[tuple[tuple[str, ...], str]]:
        """The two ends of its cable: from where to see it, and the device."""
        return [((), self.link), (("ip", "netns", "exec", self.space), "host0")]

    @property
    def space(self) -> str:
        return self.machines.driver.wiring.network.space(self.name)

    def destroy(self) -> None:
        self.machines.gitdeploy("destroy-node", self.name, "--force")


class Machines:
    """A home of a server and the nspawn machines of it, in a directory of their own that says whose it is."""

    def __init__(self, top: Path = TOP) -> None:
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
        pid = os.getpid()
        with tidied(top):
            taken = {path.read_text() for path in top.glob("[0-9]*/network")}
            self.top = Path(tempfile.mkdtemp(prefix=f"{pid}-", dir=top))
            (self.top / "owner").write_text(f"{pid} {started(pid)}")
            self.network = next(network for network in networks(pid) if network not in taken)
            (self.top / "network").write_text(self.network)
        self.bridge = f"gdt{pid}n{sum(1 for _ in top.glob(f'{pid}-*'))}"[:15]
        self.directory = self.top / "machines"
        self.home = self.top / "home"
        self.home.mkdir(mode=0o700)
        self.provider = (
            f"  local: {{driver: nspawn, directory: {self.directory}, cache: {CACHE}, bridge: {self.bridge},"
            f" network: {self.network}}}\n"
        )
        (self.home / "gitdeploy.yaml").write_text(f"providers:\n{self.provider}")
        self.fleet, self.logins = Fleet(self.home / "nodes"), Logins(self.home / "ssh")
        self.share_keys()
        self.driver = driver(self.top)
        self.count = 0

    def share_keys(self) -> None:
        """The home gets the keys that all test servers have; the first one makes them."""
        if not KEYS.exists():
            new = Path(tempfile.mkdtemp(prefix=".test-ssh-", dir=cache()))
            for name in ("setup", "server"):
                run(
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    f"gitdeploy {name}",
                    "-f",
                    str(new / f"{name}_ed25519"),
                )
            try:
                new.rename(KEYS)
            except OSError:
                shutil.rmtree(new)  # somebody else was first
        shutil.copytree(KEYS, self.home / "ssh")

    def gitdeploy(self, *args: str, limit: float = LIMIT, check: bool = True) -> str:
        """Run a command of ours on the home; returns all that it wrote."""
        done = subprocess.run(
            [sys.executable, "-m", "gitdeploy", "--home", str(self.home), *args], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"gitdeploy {args} ended with {done.returncode}\n{done.stdout}"
        return done.stdout

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def create(self, name: str = "", image: str = "debian-12", role: str = "apps") -> Node:
        """A bare machine."""
        name = name or self.name()
        self.gitdeploy("create-node", name, "--image", image, "--role", role, limit=MAKING)
        return Node(self, self.fleet.get(name))

    def ready(self, count: int = 1, names: Sequence[str] = ()) -> list[Node]:
        """Machines that are set up: the first time setup-node does it, then they begin with a snapshot of what it left."""
        image, version = self.snapshot()
        made = [self.create(name, image) for name in (names or [self.name() for _ in range(count)])]
        for node in made:
            self.fleet.change(node.name, setup=version)
        return made

    def snapshot(self) -> tuple[str, str]:
        """The image of a set-up node, and the version of its set-up."""
        self.driver.images.ready("debian-12")
        image = f"snapshot-set-up-{set_up_version()}"
        said = CACHE / f"{image}.setup"
        with self.driver.images.held(f"{image}-making"):
            made = {str(one.id) for one in self.driver.list_images()}
            if image not in made or not said.exists():
                if image in made:
                    self.driver.delete_image(self.driver.get_image(image))
                self.forget(made)
                node = self.create("set-up")
                self.gitdeploy("setup-node", node.name, limit=MAKING)
                said.write_text(node.record.setup or "")
                self.driver.create_image(node.of_driver(), image)
                node.destroy()
        return image, said.read_text()

    def forget(self, images: set[str]) -> None:
        """Remove snapshots of other set-ups, but for those that somebody uses now."""
        for image in images:
            if image.startswith("snapshot-set-up-") and not in_use(CACHE / image):
                self.driver.delete_image(self.driver.get_image(image))
                (CACHE / f"{image}.setup").unlink(missing_ok=True)

    def lend(self, home: Path, *nodes: Node) -> str:
        """Make `nodes` nodes of the server on another home, which has not been started; returns ``providers:`` for its settings."""
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copytree(self.home / "ssh", home / "ssh", dirs_exist_ok=True)
        fleet = Fleet(home / "nodes")
        for node in nodes:
            fleet.save(node.record)
            fleet.pin(node.name, self.fleet.pinned(node.name))
        return f"providers:\n{self.provider}"

    def close(self) -> None:
        clean(self.top)


def networks(number: int) -> Iterator[str]:
    """Networks for nodes of tests, to choose from; those of other processes begin elsewhere, but for one in 25000."""
    for one in range(number, number + 25000):
        for part in (0, 64, 128, 192):
            yield f"10.{100 + one // 250 % 100}.{one % 250}.{part}/26"


def cache() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True, mode=0o700)
    return CACHE


def driver(top: Path) -> NspawnNodeDriver:
    """The driver for the machines below `top`, with the same settings as in its gitdeploy.yaml."""
    from gitdeploy import config

    settings = dict(config.load(top / "home" / "gitdeploy.yaml").providers["local"])
    settings.pop("driver")
    return NspawnNodeDriver(**settings)


def clean(top: Path) -> None:
    """Destroy every machine below `top`, and remove it."""
    problems = []
    made = driver(top)
    for node in made.list_nodes():
        try:
            made.destroy_node(node)
        except Exception as error:
            problems.append(error)
    made.wiring.remove()
    if problems:
        raise problems[0]
    shutil.rmtree(top)


@contextmanager
def tidied(top: Path) -> Iterator[None]:
    """Alone in a directory of runs, after `tidy`: others tidy up, too."""
    with (top / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tidy(top)
        yield


def tidy(top: Path) -> None:
    """Clean up what test runs left that were killed: those whose process is gone."""
    for path in top.glob("[0-9]*"):
        try:
            pid, start = (path / "owner").read_text().split()
        except (OSError, ValueError):
            if path.stat().st_mtime < time.time() - 60:
                shutil.rmtree(path)
            continue
        if started(int(pid)) != start:
            if (path / "home" / "gitdeploy.yaml").exists():
                clean(path)
            else:
                shutil.rmtree(path)


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks; "gone" if there is none (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return "gone"


def in_use(image: Path) -> bool:
    """Whether some machine here stands on an image."""
    return f"{image}/" in Path("/proc/self/mounts").read_text()


def run(*argv: str, limit: float = 60.0) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, timeout=limit).stdout


def eventually(what: str, true: Callable[[], object], limit: float = 30.0) -> None:
    until = time.monotonic() + limit
    while not true():
        assert time.monotonic() < until, f"{what}: not within {limit:g} s"
        time.sleep(0.05)
