"""One nspawn node as it is on disk and as a process: its files, its start, its end."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CommandFailed, Refused
from ..runner import BASE_ENVIRON, Command
from . import sources
from .cgroup import Group

SECONDS = 60.0  # that a command for the files of a node may take
STOP = 60.0  # seconds that a node gets to shut down before it is ended
KILL = 20.0  # seconds that it takes to be gone then, at most
LOOP = """exec </dev/null >>"$0" 2>&1
while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift
while "$@"; [ $? = 133 ]; do :; done"""
"""Into its control group, then: systemd-nspawn(1) with --keep-unit ends with 133 when the node reboots, to be started anew."""
INOTIFY, WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances"), 4096  # inotify(7); a node takes about 15
REBOOT = signal.SIGRTMIN + 5  # what systemd(1) takes as a wish to reboot


@dataclass(frozen=True)
class Record:
    """``node.json``: what was decided when the node was made. `layers` are its image's directories, the topmost first."""

    name: str
    address: str
    size: str
    image: str
    suite: str
    created: float
    layers: tuple[str, ...]
    metadata: dict[str, str]
    ready: bool = False


def nspawn(root: str, name: str, machine: str, space: str, booted: bool) -> tuple[str, ...]:
    """Runs a node. Where systemd runs this machine (`booted`) the node gets a scope of its own there, else it stays in ours."""
    unit = ("--register=no",) if booted else ("--register=no", "--keep-unit")
    return (
        "systemd-nspawn", "--quiet", "--settings=no", *unit, f"--directory={root}", f"--machine={machine}", f"--hostname={name}",
        f"--network-namespace-path=/run/netns/{space}", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        "--capability=CAP_NET_ADMIN", "--console=pipe", "--boot",
    )  # fmt: skip


def overlay(layers: tuple[str, ...], upper: Path, work: Path, root: Path) -> tuple[str, ...]:
    """Puts a node's own layer over its image's."""
    options = f"lowerdir={':'.join(layers)},upperdir={upper},workdir={work}"
    return ("mount", "-t", "overlay", "gitdeploy-node", "-o", options, str(root))


def make_room(limit: Path = INOTIFY) -> None:
    """Let more programs watch files: those of all nodes count as one user's, and past the limit a node boots without its sshd."""
    if int(limit.read_text()) < WATCHERS:
        try:
            limit.write_text(f"{WATCHERS}\n")
        except OSError:
            return  # we are in a container ourselves; a few nodes have room in any case


class Container:
    """The node in a directory: ``node.json``, its own layer ``up``, ``root`` where all layers are together, ``console``."""

    def __init__(self, directory: Path, run: Callable[..., bytes]) -> None:
        self.directory, self.call = directory, run
        self.machine = "gd" + hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
        self.group = Group(self.machine)
        self.record_file = directory / "node.json"
        self.upper, self.work, self.root = directory / "up", directory / "work", directory / "root"

    def run(self, *argv: str, stdin: bytes = b"", timeout: float = SECONDS, survives: bool = False) -> bytes:
        return self.call(Command(argv, BASE_ENVIRON, survives=survives), timeout=timeout, stdin=stdin)

    # What it is.

    def record(self) -> Record:
        """Raises Refused if it cannot be read."""
        try:
            found = json.loads(self.record_file.read_text(encoding="utf-8"))
            return Record(**{**found, "layers": tuple(found["layers"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Refused(f"{self.record_file} cannot be read: {error}; destroy {self.directory.name} first") from error

    def write(self, record: Record) -> None:
        """Whole or not at all: the first time together with the directory."""
        text = json.dumps(asdict(record), indent=1) + "\n"
        if self.directory.exists():
            new = self.directory / ".node.json.new"
            new.write_text(text, encoding="utf-8")
            new.replace(self.record_file)
            return
        begun = self.directory.with_name(f".{record.name}.new")
        shutil.rmtree(begun, ignore_errors=True)
        begun.mkdir(parents=True)
        (begun / "node.json").write_text(text, encoding="utf-8")
        begun.rename(self.directory)

    def processes(self) -> dict[int, bool]:
        """The processes on this machine that run it, each with whether it is systemd-nspawn(1) itself, of proc(5)."""
        mark, found = f"--directory={self.root}".encode(), {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in words:
                found[int(path.name)] = os.path.basename(words[0]) == b"systemd-nspawn"
        return found

    def inside(self) -> list[int]:
        """The processes in it: those whose ``/`` has its own layer. They go on without systemd-nspawn(1) if that is killed."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                lines = (path / "mounts").read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            root = next((line for line in reversed(lines) if line.split(" ", 2)[1] == "/"), "")
            if f"upperdir={self.upper}," in root:
                found.append(int(path.name))
        return found

    def running(self) -> bool:
        """Also while it is about to start, or between two starts."""
        return bool(self.processes() or self.inside())

    def last_words(self) -> str:
        """The last line that it, or systemd-nspawn(1), wrote."""
        try:
            return (self.directory / "console").read_text(errors="replace").strip().rpartition("\n")[2]
        except OSError:
            return ""

    def mounted(self) -> bool:
        return os.path.ismount(self.root)

    def host_keys(self) -> list[str]:
        """Its public host keys, ``ssh-ed25519 AAAA...``."""
        found = []
        for path in sorted((self.upper / "etc/ssh").glob("ssh_host_*_key.pub")):
            found.append(" ".join(path.read_text(encoding="utf-8").split()[:2]))
        return found

    # What happens to it.

    def mount(self) -> None:
        """Put its layers together. Can be repeated."""
        for path in (self.upper, self.work, self.root):
            path.mkdir(exist_ok=True)
        if not self.mounted():
            self.run(*overlay(self.record().layers, self.upper, self.work, self.root))

    def furnish(self, record: Record, key: str | None) -> None:
        """Give it what a provider gives a machine at its first start: a name, host keys, the owner's key, sources of packages."""
        root = self.root
        (root / "etc/hostname").write_text(f"{record.name}\n", encoding="utf-8")
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {record.name}\n::1 localhost ip6-localhost ip6-loopback\n"
        (root / "etc/hosts").write_text(hosts, encoding="utf-8")
        new_key = str(root / "etc/ssh/ssh_host_ed25519_key")
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{record.name}", "-f", new_key)
        if key:
            (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
            (root / "root/.ssh/authorized_keys").write_text(f"{key}\n", encoding="utf-8")
        self._write("etc/resolv.conf", sources.read_resolvers())
        found = sources.read(self.run("apt-config", "dump").decode())
        self._write("etc/apt/sources.list", found.list(record.suite))
        self._write("etc/apt/apt.conf.d/90as-its-host", "".join(f"{line}\n" for line in found.apt))
        there = [path for path in sources.COPIED if os.path.exists(path)]
        for path in there:
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            self.run("cp", "--archive", "--dereference", "--no-target-directory", "--", path, str(root / path[1:]))

    def _write(self, path: str, text: str) -> None:
        """Write a file anew, wherever a link of that name led."""
        target = self.root / path
        target.unlink(missing_ok=True)
        target.write_text(text, encoding="utf-8")

    def boot(self, space: str) -> None:
        """Start it, apart from whoever asks: it goes on when we have ended."""
        make_room()
        booted = os.path.isdir("/run/systemd/system")  # sd_booted(3)
        groups = () if booted else self.group.make()
        argv = nspawn(str(self.root), self.directory.name, self.machine, space, booted)
        self.run(
            "setsid",
            "--fork",
            "--",
            "sh",
            "-c",
            LOOP,
            str(self.directory / "console"),
            *groups,
            "--",
            *argv,
            survives=True,
        )

    def signal(self, number: int, to: Callable[[bool], bool] = lambda nspawn: True) -> None:
        for pid, is_nspawn in self.processes().items():
            if to(is_nspawn):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass

    def reboot(self) -> bool:
        """Have it start again in an orderly way; False if it does not run."""
        for pid, is_nspawn in self.processes().items():
            if is_nspawn:
                for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                    os.kill(int(child), REBOOT)
                    return True
        return False

    def stop(self, seconds: float = STOP) -> None:
        """Shut it down, or end it if it does not shut down within `seconds`."""
        if seconds and self.processes():
            self.signal(signal.SIGTERM)
            if self.ended(seconds):
                return
        self.signal(signal.SIGKILL, lambda nspawn: not nspawn)  # the loop first, which would start it again
        self.signal(signal.SIGKILL)
        if not self.ended(KILL, kill=True):
            raise Refused(
                f"the processes of {self.directory.name} do not end: {sorted(self.processes())}; end them by hand"
            )

    def ended(self, seconds: float, kill: bool = False) -> bool:
        """Wait for its end, or bring it about; False if it takes longer."""
        until = time.monotonic() + seconds
        while self.processes() or self.inside():
            for pid in self.inside() if kill else ():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def unmount(self) -> None:
        """Take its layers apart; can be repeated."""
        while self.mounted():
            try:
                self.run("umount", "--", str(self.root))
            except CommandFailed:
                self.run("umount", "--lazy", "--", str(self.root))

    def remove(self) -> None:
        """Remove its files, and nothing that is only mounted there. Raises Refused."""
        inside = f" {self.directory}/"
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            if any(inside in line for line in mounts):
                raise Refused(f"something is mounted in {self.directory}; unmount it, then destroy the node again")
        if self.directory.exists():
            gone = self.directory.with_name(f".{self.directory.name}.gone")
            shutil.rmtree(gone, ignore_errors=True)
            self.directory.rename(gone)
            shutil.rmtree(gone)
