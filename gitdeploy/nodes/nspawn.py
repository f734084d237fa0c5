"""A libcloud driver for Debian machines inside this one, by systemd-nspawn(1): nodes to try things with, and for tests.

A node shares the kernel of this machine and runs as its root: it is no place for what must be locked up.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_interface
from pathlib import Path

from libcloud.compute.base import Node, NodeAuthSSHKey, NodeDriver, NodeImage, NodeLocation, NodeSize
from libcloud.compute.types import NodeState

from ..errors import CommandFailed, ConfigError, GitdeployError, NotFound, Refused
from ..names import node_name
from ..runner import call
from .container import Container, Record
from .images import SUITES, Image, Images
from .network import Network, Wiring

PROVIDER = "nspawn"
PROGRAMS = {
    "systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "ip": "iproute2", "nft": "nftables",
    "mount": "mount", "setsid": "util-linux", "ssh-keygen": "openssh-client", "apt-config": "apt",
}  # fmt: skip
SIZES = {"small": 512, "medium": 1024, "large": 2048}


class NspawnNodeDriver(NodeDriver):
    """`directory` keeps the nodes, `cache` the images; `bridge` and `network` are how nodes are reached.

    `say` gets lines about what takes long; `run` runs a command.
    """

    type = PROVIDER
    name = "systemd-nspawn on this machine"
    website = "https://www.freedesktop.org/software/systemd/man/systemd-nspawn.html"
    features = {"create_node": ["ssh_key"]}

    def __init__(
        self, key: str = "", *, directory: str = "/var/lib/gitdeploy-nspawn", cache: str = "/var/cache/gitdeploy",
        bridge: str = "gitdeploy0", network: str = "10.77.0.0/24", ex_run: Callable[..., bytes] = call,
    ) -> None:  # fmt: skip
        self.key = key
        self.directory = checked_path("directory", directory)
        self.run = ex_run
        self.ex_say: Callable[[str], None] = lambda line: None
        self.images = Images(checked_path("cache", cache), ex_run, lambda line: self.ex_say(line))
        self.wiring = Wiring(checked_network(bridge, network, self.directory), ex_run)

    # What there is.

    def list_locations(self) -> list[NodeLocation]:
        return [NodeLocation("here", "this machine", "", self)]

    def list_sizes(self, location: NodeLocation | None = None) -> list[NodeSize]:
        """Invented ones: a node may use all of this machine."""
        extra = {"note": "not enforced"}
        return [NodeSize(name, f"{name}, not enforced", ram, 0, 0, 0.0, self, extra) for name, ram in SIZES.items()]

    def list_images(self, location: NodeLocation | None = None) -> list[NodeImage]:
        return [self._image(image) for image in self.images.all()]

    def get_image(self, image_id: str) -> NodeImage:
        return self._image(self.images.get(image_id))

    def list_nodes(self) -> list[Node]:
        """All that are on disk, those that are only half made, too."""
        if not self.directory.exists():
            return []
        self._check()
        return [self._node(Container(path, self.run)) for path in self._directories()]

    # What can be done.

    def ex_prepare(self, image: NodeImage) -> None:
        """Make an image that is not there yet, so that creating a node takes no time."""
        self._check()
        self.images.ready(image.id)

    def create_node(  # type: ignore[override]
        self, name: str, size: NodeSize, image: NodeImage, location: NodeLocation | None = None,
        auth: NodeAuthSSHKey | None = None, ex_metadata: dict[str, str] | None = None,
    ) -> Node:  # fmt: skip
        """Make a node and start it. One that fails leaves nothing. Raises GitdeployError."""
        self._check()
        node_name(name)
        found = self.images.ready(image.id)
        container = self._reserve(name, size.id, found, dict(ex_metadata or {}))
        try:
            record = container.record()
            container.mount()
            container.furnish(record, auth.pubkey if auth else None)
            self._start(container)
            container.write(replace(record, ready=True))
        except BaseException:
            self._destroy(container)
            raise
        return self._node(container)

    def destroy_node(self, node: Node) -> bool:
        """End a node and remove all of it; every step is tried. Raises GitdeployError with what did not work."""
        self._check()
        problems = self._destroy(self._container(node))
        if problems:
            raise CommandFailed(f"{node.name} is not wholly destroyed; try again when this is right:", *problems)
        return True

    def reboot_node(self, node: Node) -> bool:
        container = self._container(node)
        if not container.reboot():
            self._start(container)
        return True

    def start_node(self, node: Node) -> bool:
        self._start(self._container(node))
        return True

    def stop_node(self, node: Node) -> bool:
        """Shut a node down; what it has stays."""
        self._check()
        self._container(node).stop()
        return True

    def create_image(  # type: ignore[override]  # a list, it says there; drivers return one
        self, node: Node, name: str, description: str | None = None
    ) -> NodeImage:
        """Keep a node as an image, without its keys and its name. A node that runs is shut down for that, and started again."""
        self._check()
        container = self._container(node)
        ran = container.running()
        container.stop()
        container.unmount()
        try:
            return self._image(self.images.keep(name, container.upper, container.record().layers))
        finally:
            if ran:
                self._start(container)

    def delete_image(self, node_image: NodeImage) -> bool:
        self._check()
        with self._held():
            below = f"{self.images.cache / node_image.id}/"
            for record in self._records():
                if any(layer.startswith(below) for layer in record.layers):
                    raise Refused(f"{record.name} stands on {node_image.id}; destroy it first")
            self.images.delete(node_image.id)
        return True

    # How.

    def _reserve(self, name: str, size: str, image: Image, metadata: dict[str, str]) -> Container:
        assert image.layers is not None
        container = Container(self.directory / "nodes" / name, self.run)
        with self._held():
            if container.directory.exists():
                raise Refused(
                    f"there is a machine {name} in {self.directory} already; take another name, or destroy it first"
                )
            taken = [record.address for record in self._records()]
            address = self.wiring.network.free(taken)
            suite = SUITES[Path(image.layers[-1]).parent.name]
            container.write(Record(name, address, size, image.id, suite, time.time(), image.layers, metadata))
        return container

    def _start(self, container: Container) -> None:
        self._check()
        if container.running():
            return
        container.mount()
        record, network = container.record(), self.wiring.network
        self.wiring.attach(record.name, record.address)
        container.boot(network.space(record.name))

    def _destroy(self, container: Container) -> list[str]:
        problems: list[str] = []
        name = container.directory.name
        steps: tuple[Callable[[], None], ...] = (
            lambda: container.stop(0),
            lambda: self.wiring.detach(name),
            container.unmount,
            container.remove,
            container.group.remove,
            self._last,
        )
        for step in steps:
            try:
                step()
            except (GitdeployError, OSError) as error:
                problems += [str(error), *getattr(error, "details", ())]
        return problems

    def _last(self) -> None:
        """Take the network away with the last node."""
        with self._held():
            if not self._directories():
                self.wiring.remove()

    def _directories(self) -> list[Path]:
        return sorted(path for path in (self.directory / "nodes").glob("[!.]*") if path.is_dir())

    def _records(self) -> list[Record]:
        """Of all nodes. Raises Refused: without one of them it is not known which addresses and images are taken."""
        return [Container(path, self.run).record() for path in self._directories()]

    def _container(self, node: Node) -> Container:
        container = Container(self.directory / "nodes" / node_name(str(node.id)), self.run)
        if not container.directory.exists():
            raise NotFound(f"there is no machine {node.id} in {self.directory}; see: list-nodes")
        return container

    def _node(self, container: Container) -> Node:
        name = container.directory.name
        try:
            record = container.record()
        except Refused as error:
            return Node(
                name,
                name,
                NodeState.ERROR,
                [],
                [],
                self,
                extra={"problem": str(error), "metadata": {"gitdeploy": name}},
            )
        state = NodeState.RUNNING if container.running() else NodeState.STOPPED if record.ready else NodeState.PENDING
        size = next((size for size in self.list_sizes() if size.id == record.size), None)
        extra: dict[str, object] = {
            "metadata": record.metadata,
            "host_keys": container.host_keys(),
            "image": record.image,
        }
        if state == NodeState.STOPPED:
            extra["problem"] = container.last_words()
        return Node(
            name, name, state, [record.address], [], self, size=size, extra=extra,
            created_at=datetime.fromtimestamp(record.created, UTC),
        )  # fmt: skip

    def _image(self, image: Image) -> NodeImage:
        note = "" if image.layers else "made when it is first used, in about a minute"
        return NodeImage(image.id, image.name, self, {"note": note})

    def _check(self) -> None:
        """What everything but looking at sizes and images needs. Raises Refused."""
        if os.geteuid() != 0:
            raise Refused("nspawn machines are root's; do this as root, such as with sudo")
        path = os.environ.get("PATH", os.defpath)
        lacking = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})
        if lacking:
            raise Refused(f"nspawn needs more of Debian: apt-get install {' '.join(lacking)}")

    @contextmanager
    def _held(self) -> Iterator[None]:
        """One at a time makes or removes nodes here."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def checked_path(setting: str, text: str) -> Path:
    """A directory that can be an overlay's: its options end at commas and colons. Raises ConfigError."""
    if not os.path.isabs(text) or any(char in text for char in ",:\\\n"):
        raise ConfigError(f"{setting}: {text!r} cannot be used; write a whole path without , : and backslashes")
    return Path(text).resolve()


def checked_network(bridge: str, network: str, owner: Path) -> Network:
    """Raises ConfigError."""
    if not (0 < len(bridge) <= 15 and bridge.isascii() and bridge.isalnum() and bridge[0].isalpha()):
        raise ConfigError(
            f"bridge: {bridge!r} is no name for a device; write up to 15 letters and digits, such as gitdeploy1"
        )
    try:
        subnet = ip_interface(network).network
    except ValueError:
        subnet = None
    if subnet is None or subnet.version != 4 or not 8 <= subnet.prefixlen <= 29:
        raise ConfigError(
            f"network: {network!r} cannot be used; write addresses of IPv4 for 5 or more, such as 10.78.0.0/24"
        )
    return Network(bridge, subnet, owner)
