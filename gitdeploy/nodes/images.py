"""What nspawn nodes begin with: Debian as debootstrap(8) makes it, once, and snapshots of nodes; each a directory in the cache."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import NotFound, Refused
from ..names import nearest, quoted
from ..runner import BASE_ENVIRON, Command
from . import sources

SUITES = {"debian-12": "bookworm", "debian-13": "trixie"}
"""The images that can always be had."""
INCLUDE = (
    "systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "python3", "sudo", "ca-certificates", "iproute2",
    "iputils-ping", "netbase", "procps",
)  # fmt: skip
"""What every Debian machine has that a provider makes, and no more: the rest is the work of setup-node."""
MAKING = 1800.0  # seconds that debootstrap may take
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
"""What debootstrap mounts is gone when it ends, and so is every process of it."""
SNAPSHOT = re.compile(r"[a-z][a-z0-9-]{0,60}")
UNIQUE = (
    "etc/ssh/ssh_host_*",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "root/.ssh",
    "var/log/journal",
    "etc/hostname",
)
"""What no two machines may have in common, or what is given to each anew."""


@dataclass(frozen=True)
class Image:
    """`layers` are directories, the topmost first; None if the image has to be made."""

    id: str
    name: str
    layers: tuple[str, ...] | None


class Images:
    """The images in a cache directory; `run` runs a command and `say` gets lines for people."""

    def __init__(self, cache: Path, run: Callable[..., bytes], say: Callable[[str], None]) -> None:
        self.cache, self.run, self.say = cache, run, say

    def all(self) -> list[Image]:
        """Those that can be had and those that were made."""
        made = sorted(path.parent.name for path in self.cache.glob("snapshot-*/image.json"))
        return [self.get(name) for name in (*SUITES, *made)]

    def get(self, name: str) -> Image:
        """The image called `name`. Raises NotFound."""
        if name in SUITES:
            root = self.cache / name / "root"
            return Image(
                name, f"Debian {name.partition('-')[2]} ({SUITES[name]})", (str(root),) if root.exists() else None
            )
        try:
            found = json.loads((self.cache / name / "image.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            guess = nearest(name, [*SUITES, *(path.name for path in self.cache.glob("snapshot-*"))])
            advice = f"did you mean {guess}?" if guess else "see: list-images"
            raise NotFound(f"there is no image {quoted(name)}; {advice}") from None
        return Image(name, found["name"], (str(self.cache / name / "root"), *found["layers"]))

    def ready(self, name: str) -> Image:
        """The image called `name`, made if it has to be; waits for whoever makes it already. Raises NotFound, CommandFailed."""
        image = self.get(name)
        if image.layers is None:
            with self.held(name):
                if self.get(name).layers is None:
                    self.say(f"Making {name} from Debian's packages: once, about a minute")
                    self._make(name)
            image = self.get(name)
        return image

    def _make(self, name: str) -> None:
        final, new = self.cache / name, self.cache / f".{name}.new"
        if new.exists():
            shutil.rmtree(new)  # nothing is mounted in it: see ISOLATED
        new.mkdir()
        found = sources.read(self.run(Command(("apt-config", "dump"), BASE_ENVIRON), timeout=60).decode())
        environ = {**BASE_ENVIRON, "DEBIAN_FRONTEND": "noninteractive"}
        if proxy := found.proxy():
            environ["http_proxy"] = proxy
        root = new / "root"
        argv = (*ISOLATED, *debootstrap(SUITES[name], str(root), found.archive))
        self.run(Command(argv, environ), timeout=MAKING)
        strip(root)
        for path in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
            path.unlink()
        (root / "etc/machine-id").touch()
        new.rename(final)

    def keep(self, name: str, upper: Path, layers: tuple[str, ...]) -> Image:
        """Make a snapshot of what a stopped node has in its own layer, `upper`, over its image's `layers`."""
        if not SNAPSHOT.fullmatch(name):
            raise Refused(f"{quoted(name)} cannot be an image's name; write small letters, digits and -, such as ready")
        image = name if name.startswith("snapshot-") else f"snapshot-{name}"
        with self.held(image):
            final, new = self.cache / image, self.cache / f".{image}.new"
            if final.exists():
                raise Refused(f"there is an image {image} already; delete it first, or take another name")
            if new.exists():
                shutil.rmtree(new)
            new.mkdir()
            copy = ("cp", "--archive", "--reflink=auto", "--", str(upper), str(new / "root"))
            self.run(Command(copy, BASE_ENVIRON), timeout=MAKING)
            strip(new / "root")
            said = {"name": f"a snapshot of a node, {time.strftime('%Y-%m-%d', time.gmtime())}", "layers": layers}
            (new / "image.json").write_text(json.dumps(said), encoding="utf-8")
            new.rename(final)
        return self.get(image)

    def delete(self, name: str) -> None:
        """Remove what is in the cache of an image; one of Debian's is made again when it is needed."""
        with self.held(name):
            if (self.cache / name).exists():
                gone = self.cache / f".{name}.new"
                if gone.exists():
                    shutil.rmtree(gone)
                (self.cache / name).rename(gone)
                shutil.rmtree(gone)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """One at a time makes or removes an image; who was killed holds nothing."""
        self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)  # programs in it run as root
        descriptor = os.open(self.cache / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"Waiting for somebody else who makes {name}")
                self.wait(descriptor, name)
            yield
        finally:
            os.close(descriptor)

    @staticmethod
    def wait(descriptor: int, name: str) -> None:
        until = time.monotonic() + MAKING
        while time.monotonic() < until:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.2)
        raise Refused(
            f"somebody else has been making {name} for {MAKING / 60:.0f} minutes; look what it does, then try again"
        )


def debootstrap(suite: str, root: str, mirror: str) -> tuple[str, ...]:
    """Makes Debian in the directory `root`."""
    return ("debootstrap", "--variant=minbase", f"--include={','.join(INCLUDE)}", suite, root, mirror)


def strip(root: Path) -> None:
    """Take away what no two machines may have in common."""
    for pattern in UNIQUE:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
