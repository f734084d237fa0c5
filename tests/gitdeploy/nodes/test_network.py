"""The network of nspawn nodes: its command lines, its rules, and whom it makes way for."""

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from gitdeploy.errors import Refused
from gitdeploy.nodes import network
from gitdeploy.nodes.network import WAS_OFF, Network, Wiring

NETWORK = Network("gitdeploy0", IPv4Network("10.77.0.0/29"), Path("/var/lib/gitdeploy-nspawn"))
LINK = NETWORK.link("web1")


class Fake:
    """Notes command lines and answers `ip route`."""

    def __init__(self, routes=()):
        self.routes, self.lines = routes, []

    def __call__(self, command, *, timeout, stdin=b""):
        self.lines.append((*command.argv, *([stdin.decode()] if stdin else [])))
        return json.dumps(self.routes).encode() if "route" in command.argv else b""


@pytest.fixture
def wiring(tmp_path):
    def make(run, bridge="gdtestnone0", owner=None):
        forward = tmp_path / "forward"
        if not forward.exists():
            forward.write_text("0\n")
        return Wiring(Network(bridge, NETWORK.subnet, owner or tmp_path), run, tmp_path / "state", forward)

    return make


def test_a_node_has_a_namespace_with_a_cable_to_the_bridge():
    assert network.node_commands(NETWORK, "web1", "10.77.0.2") == [
        ("ip", "netns", "add", "gitdeploy0-web1"),
        (
            "ip",
            "link",
            "add",
            LINK,
            "type",
            "veth",
            "peer",
            "name",
            "host0",
            "address",
            "02:64:0a:4d:00:02",
            "netns",
            "gitdeploy0-web1",
        ),
        ("ip", "link", "set", LINK, "master", "gitdeploy0", "up"),
        ("ip", "-n", "gitdeploy0-web1", "address", "add", "10.77.0.2/29", "dev", "host0"),
        ("ip", "-n", "gitdeploy0-web1", "link", "set", "lo", "up"),
        ("ip", "-n", "gitdeploy0-web1", "link", "set", "host0", "up"),
        ("ip", "-n", "gitdeploy0-web1", "route", "add", "default", "via", "10.77.0.1"),
    ]


def test_names_of_devices_fit_and_differ():
    names = {NETWORK.link(name) for name in ("web1", "web2", "a" * 40)} | {
        Network("gitdeploy1", NETWORK.subnet, NETWORK.owner).link("web1")
    }
    assert len(names) == 4 and {len(name) for name in names} == {14}


def test_addresses_are_given_out_in_turn_and_run_out():
    assert NETWORK.free([]) == "10.77.0.2"
    assert NETWORK.free(["10.77.0.2", "10.77.0.4"]) == "10.77.0.3"
    with pytest.raises(Refused, match=r"all addresses of 10.77.0.0/29 are taken; destroy a node"):
        NETWORK.free([f"10.77.0.{number}" for number in range(2, 7)])


def test_what_nodes_send_elsewhere_comes_from_this_machine():
    assert network.rules(NETWORK).splitlines()[:3] == [
        "table ip gitdeploy0 {}", "delete table ip gitdeploy0", "table ip gitdeploy0 {"
    ]  # fmt: skip
    assert '    ip saddr 10.77.0.0/29 oifname != "gitdeploy0" masquerade' in network.rules(NETWORK)


@pytest.mark.parametrize(
    ("route", "device"),
    [
        ({"dst": "10.77.0.0/24", "dev": "eth1"}, "eth1"),
        ({"dst": "10.77.0.4", "dev": "tun0"}, "tun0"),
        ({"dst": "10.77.0.0/29", "dev": "gitdeploy0"}, None),
        ({"dst": "default", "dev": "eth0"}, None),
        ({"dst": "10.78.0.0/24", "dev": "eth0"}, None),
    ],
)
def test_addresses_in_use_are_noticed(route, device):
    assert network.overlapping(NETWORK, [route]) == device


def test_forwarding_is_switched_on_and_back_with_the_last_bridge(wiring, tmp_path):
    run = Fake()
    first, second = wiring(run, "gdtestnone1"), wiring(run, "gdtestnone2")
    for one in (first, second):
        one.attach("web1", "10.77.0.2")
    assert first.forward.read_text() == "1\n" and (tmp_path / "state" / WAS_OFF).exists()
    assert ("ip", "link", "add", "gdtestnone1", "type", "bridge") in run.lines
    first.remove()
    assert first.forward.read_text() == "1\n"
    second.remove()
    assert first.forward.read_text() == "0\n" and not (tmp_path / "state" / WAS_OFF).exists()
    assert run.lines[-1] == ("nft", "-f", "-", "table ip gdtestnone2 {}\ndelete table ip gdtestnone2\n")


def test_forwarding_that_was_on_stays_on(wiring, tmp_path):
    (tmp_path / "forward").write_text("1\n")
    one = wiring(Fake())
    one.attach("web1", "10.77.0.2")
    one.remove()
    assert one.forward.read_text() == "1\n"


def test_a_bridge_has_one_owner(wiring, tmp_path):
    wiring(Fake()).attach("web1", "10.77.0.2")
    other = wiring(Fake(), owner=tmp_path / "other")
    with pytest.raises(Refused, match=f"the bridge gdtestnone0 belongs to the nodes in {tmp_path}; set another one"):
        other.attach("web1", "10.77.0.2")
    other.remove()  # not his to remove
    assert (tmp_path / "state" / "gdtestnone0.bridge").read_text() == str(tmp_path)


def test_a_bridge_whose_owner_is_gone_is_taken_over(wiring, tmp_path):
    wiring(Fake(), owner=tmp_path / "gone").attach("web1", "10.77.0.2")
    wiring(Fake()).attach("web1", "10.77.0.2")
    assert (tmp_path / "state" / "gdtestnone0.bridge").read_text() == str(tmp_path)


def test_addresses_of_others_are_refused_before_anything_is_made(wiring):
    run = Fake([{"dst": "10.77.0.0/16", "dev": "wg0"}])
    with pytest.raises(
        Refused, match=r"addresses of 10.77.0.0/29 are in use by wg0 here; set another one for the provider"
    ):
        wiring(run).attach("web1", "10.77.0.2")
    assert [line[:2] for line in run.lines] == [("ip", "-4")]


def test_a_device_of_that_name_that_is_not_ours_is_left_alone(wiring):
    with pytest.raises(Refused, match="there is a device lo that is not ours"):
        wiring(Fake(), "lo").attach("web1", "10.77.0.2")
