"""Taking nodes out of service and back, also those that do not answer."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from gitdeploy import config
from gitdeploy.errors import Refused
from gitdeploy.nodes.fleet import Fleet, Machine
from gitdeploy.ssh.commands import nodes

SETTINGS = config.parse(
    b"""
environments:
  production: {nodes: "web1, web2", balancer: lb1}
  staging: {nodes: web3}
"""
)


class FakeNode:
    """A machine that can be reached or not, or is lost when it is asked for something."""

    def __init__(self, name, down=None, lost=None):
        self.name, self.down, self.lost, self.left = name, down, lost, False

    async def reach(self):
        return self.down

    async def leave(self):
        if self.lost:
            raise Refused(self.lost)
        self.left = True


class Desk:
    """Somebody on the server's machine, and his fleet."""

    def __init__(self, fleet):
        self.fleet, self.rejoined, self.nodes = fleet, [], {}

    @asynccontextmanager
    async def talking(self, node):
        yield node

    def type(self, command, name, refused=None, **how):
        """What the command writes; what it is `refused` with begins so."""
        out, found = [], []
        self.node = FakeNode(name, **how)
        site = SimpleNamespace(
            fleet=self.fleet, config=SETTINGS, node=lambda name: self.node, talking=self.talking,
            rejoin=lambda node: self.rejoined.append(node.name),
        )  # fmt: skip
        call = SimpleNamespace(
            args=SimpleNamespace(node=name), io=SimpleNamespace(write=out.append), site=site, administers=lambda: True
        )
        Deferred.fromCoroutine(command(call)).addBoth(found.append)
        if refused is None:
            assert found == [0], found
        else:
            assert str(found[0].value).startswith(refused)
        return out


@pytest.fixture
def desk(tmp_path):
    fleet = Fleet(tmp_path)
    for name in ("web1", "web2", "web3"):
        fleet.save(Machine(name, "192.0.2.1", setup="1"))
    fleet.save(Machine("lb1", "192.0.2.8", setup="1", roles=("balancer",)))
    return Desk(fleet)


def test_a_node_is_taken_out_of_service(desk):
    assert desk.type(nodes.drain, "web1") == ["web1 gets no new requests from its balancer, until: nodes:resume web1"]
    assert desk.node.left and desk.fleet.drained("web1") and not desk.fleet.drained("web2")


@pytest.mark.parametrize("how", [{"down": "no route"}, {"lost": "no route"}])
def test_one_that_is_down_is_kept_out_when_it_is_back(desk, how):
    assert desk.type(nodes.drain, "web1", **how) == [
        "web1 does not answer (no route); it is kept out when it is back, until: nodes:resume web1"
    ]
    assert desk.fleet.drained("web1")
    said = desk.type(nodes.resume, "web1", down="no route")
    assert said == ["web1 does not answer (no route); it gets requests as soon as it is back and up to date"]
    assert not desk.fleet.drained("web1")


def test_what_goes_on_getting_requests_is_said(desk):
    assert desk.type(nodes.drain, "web3") == [
        "web3 is drained, until: nodes:resume web3",
        "staging has no balancer, and whoever asks web3 is answered as before; to take an app out of service: maintenance:on APP",
    ]
    assert len(desk.type(nodes.drain, "web2")) == 1
    assert desk.type(nodes.drain, "web1") == [
        "web1 is drained, until: nodes:resume web1",
        "production has no other node that is not drained, and so lb1 goes on asking web1",
    ]
    assert desk.type(nodes.drain, "web1", down="no route")[0] == (
        "web1 does not answer (no route); it is drained when it is back, until: nodes:resume web1"
    )


def test_a_balancer_is_not_drained(desk):
    assert (
        desk.type(
            nodes.drain, "lb1", refused="lb1 is a balancer, and nothing before it could send its requests elsewhere;"
        )
        == []
    )
    assert not desk.node.left and not desk.fleet.drained("lb1")
