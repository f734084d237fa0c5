"""The network of nspawn nodes: a bridge on this machine, a network namespace a node, and a way out to Debian's packages."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from ..errors import CommandFailed, Refused
from ..runner import BASE_ENVIRON, Command

STATE = Path("/run/gitdeploy-nspawn")
"""What must not outlive a reboot of this machine: which bridges there are, and whether we switched forwarding on for them."""
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
WAS_OFF = "forwarding-was-off"
SECONDS = 30.0  # that any of these commands may take


@dataclass(frozen=True)
class Network:
    """`bridge` has the first address of `subnet`; nodes have the others. `owner` is the directory whose nodes they are."""

    bridge: str
    subnet: IPv4Network
    owner: Path

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet.network_address + 1

    def space(self, node: str) -> str:
        """The network namespace of a node."""
        return f"{self.bridge}-{node}"

    def link(self, node: str) -> str:
        """The end of a node's cable that is in the bridge; names of devices have 15 characters at most."""
        return "gd" + hashlib.sha256(f"{self.bridge} {node}".encode()).hexdigest()[:12]

    def free(self, taken: Collection[str]) -> str:
        """The first address that nobody has. Raises Refused."""
        for address in self.subnet.hosts():
            if address != self.gateway and str(address) not in taken:
                return str(address)
        raise Refused(
            f"all addresses of {self.subnet} are taken; destroy a node, or set a larger network for the provider"
        )


def bridge_commands(network: Network) -> list[tuple[str, ...]]:
    """What gives the bridge its address; can be repeated."""
    address = f"{network.gateway}/{network.subnet.prefixlen}"
    return [
        ("ip", "address", "replace", address, "dev", network.bridge),
        ("ip", "link", "set", network.bridge, "up"),
    ]


def node_commands(network: Network, node: str, address: str) -> list[tuple[str, ...]]:
    """What makes the network of a node: ``host0`` in a namespace of its own, wired to the bridge."""
    space, link = network.space(node), network.link(node)
    return [
        ("ip", "netns", "add", space),
        (
            "ip",
            "link",
            "add",
            link,
            "type",
            "veth",
            "peer",
            "name",
            "host0",
            "address",
            hardware(address),
            "netns",
            space,
        ),
        ("ip", "link", "set", link, "master", network.bridge, "up"),
        ("ip", "-n", space, "address", "add", f"{address}/{network.subnet.prefixlen}", "dev", "host0"),
        ("ip", "-n", space, "link", "set", "lo", "up"),
        ("ip", "-n", space, "link", "set", "host0", "up"),
        ("ip", "-n", space, "route", "add", "default", "via", str(network.gateway)),
    ]


def hardware(address: str) -> str:
    """The hardware address for an address: the next node that has it is found at once, not when ARP has forgotten the last."""
    return ":".join(f"{part:02x}" for part in (2, 0x64, *IPv4Address(address).packed))


def rules(network: Network) -> str:
    """The nftables table of a bridge: what its nodes send elsewhere comes from this machine. Replaces the one before."""
    return f"""\
table ip {network.bridge} {{}}
delete table ip {network.bridge}
table ip {network.bridge} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {network.subnet} oifname != "{network.bridge}" masquerade
  }}
}}
"""


def overlapping(network: Network, routes: list[dict[str, str]]) -> str | None:
    """The device of this machine that has addresses of the network already, of what ``ip -json route`` says."""
    for route in routes:
        if route["dst"] == "default" or route.get("dev") == network.bridge:
            continue
        if IPv4Network(route["dst"], strict=False).overlaps(network.subnet):
            return route.get("dev", "a route")
    return None


def exists(device: str) -> bool:
    """Whether there is a network device of that name, where we are: sysfs(5) may show another namespace's."""
    return device in (name for _, name in socket.if_nameindex())


class Wiring:
    """Makes and removes networks; `run` runs a command line and returns what it wrote."""

    def __init__(
        self, network: Network, run: Callable[..., bytes], state: Path = STATE, forward: Path = FORWARD
    ) -> None:
        self.network, self.state, self.forward = network, state, forward
        self.call = run

    def run(self, *argv: str, stdin: str = "") -> bytes:
        return self.call(Command(argv, BASE_ENVIRON), timeout=SECONDS, stdin=stdin.encode())

    def attach(self, node: str, address: str) -> None:
        """Give a node its network, and make the bridge if it is the first one. Can be repeated. Raises Refused."""
        with self.held():
            self.claim()
            if not exists(self.network.bridge):
                self.run("ip", "link", "add", self.network.bridge, "type", "bridge")
            for argv in bridge_commands(self.network):
                self.run(*argv)
            self.run("nft", "-f", "-", stdin=rules(self.network))
            if self.forward.read_text().strip() == "0":
                (self.state / WAS_OFF).touch()
                self.forward.write_text("1\n")
        if self.wired(node):
            return
        self.detach(node)
        for argv in node_commands(self.network, node, address):
            self.run(*argv)

    def wired(self, node: str) -> bool:
        """Whether a node has its network, whole."""
        if not (exists(self.network.link(node)) and self.named(node).exists()):
            return False
        try:
            return b"default" in self.run("ip", "-n", self.network.space(node), "route", "show", "default")
        except CommandFailed:
            return False

    def named(self, node: str) -> Path:
        return Path("/run/netns") / self.network.space(node)

    def detach(self, node: str) -> None:
        """Take a node's network away; nothing there is fine."""
        link = self.network.link(node)
        if exists(link):
            self.run("ip", "link", "delete", link)
        if self.named(node).exists():
            self.run("ip", "netns", "delete", self.network.space(node))

    def remove(self) -> None:
        """Take the bridge away, and put back what was changed for it: there are no nodes any more."""
        bridge = self.network.bridge
        with self.held():
            claim = self.state / f"{bridge}.bridge"
            if not claim.exists() or claim.read_text() != str(self.network.owner):
                return
            self.run("nft", "-f", "-", stdin=f"table ip {bridge} {{}}\ndelete table ip {bridge}\n")
            if exists(bridge):
                self.run("ip", "link", "delete", bridge)
            claim.unlink()
            if not list(self.state.glob("*.bridge")) and (self.state / WAS_OFF).exists():
                self.forward.write_text("0\n")
                (self.state / WAS_OFF).unlink()

    def claim(self) -> None:
        """Note whose bridge it is; raises Refused if it is somebody else's, or if its addresses are in use on this machine."""
        claim = self.state / f"{self.network.bridge}.bridge"
        advice = "set another one for the provider in gitdeploy.yaml, such as"
        owner = claim.read_text() if claim.exists() else ""
        if owner == str(self.network.owner):
            return
        if owner and Path(owner).exists():
            raise Refused(
                f"the bridge {self.network.bridge} belongs to the nodes in {owner}; {advice} bridge: gitdeploy1"
            )
        routes = json.loads(self.run("ip", "-4", "-json", "route", "show", "table", "main") or b"[]")
        if device := overlapping(self.network, routes):
            raise Refused(
                f"addresses of {self.network.subnet} are in use by {device} here; {advice} network: 10.78.0.0/24"
            )
        if not owner and exists(self.network.bridge):
            raise Refused(f"there is a device {self.network.bridge} that is not ours; {advice} bridge: gitdeploy1")
        claim.write_text(str(self.network.owner))

    @contextmanager
    def held(self) -> Iterator[None]:
        """One at a time on this machine."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
