"""Which release a node should serve of those it has, and how often it is tried to bring it there."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gitdeploy.config import Config, Environment
from gitdeploy.deploy import reconcile
from gitdeploy.deploy.queue import Queue
from gitdeploy.deploy.reconcile import chosen, is_deployed
from gitdeploy.deploy.site import Held
from gitdeploy.errors import Refused
from gitdeploy.git.repository import ReleaseTag


def record(number, commit):
    return ReleaseTag(number, commit, "alice", 0, "")


def state(*releases, live=None, versions="abc"):
    """What a node says: releases such as ``1a``, release 1 of commit a."""
    return {
        "versions": list(versions), "live": live,
        "releases": [{"release": f"v{one[:-1]}", "commit": one[-1]} for one in releases],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "there", "commit", "recorded", "wanted"),
    [
        ("it serves what the ref names", state("1a", "2b", live="v2"), "b", "1a 2b", "v2"),
        ("it was killed between ref and switch", state("1a", "2b", live="v1"), "b", "1a", "v2"),
        ("it was killed before the ref moved", state("1a", "2b", live="v1"), "a", "1a", "v1"),
        ("a redeploy was killed before its switch: both would do", state("1a", "2a", live="v1"), "a", "1a", "v1"),
        ("it was away for a push", state("1a", live="v1"), "b", "1a 2b", None),
        ("it was away for a push and a rollback", state("1a", live="v1"), "a", "1a 2b 3a", None),
        ("it was away for a redeploy", state("1a", live="v1"), "a", "1a 2a", None),
        ("the version is gone, though not the release", state("1a", live="v1", versions=""), "a", "1a", None),
        ("it is new", state(), "a", "1a", None),
        ("nothing is deployed", state("1a", live="v1"), None, "", None),
        ("the ref moved back, and that was not recorded", state("1a", "2b", "3a", live="v2"), "a", "1a 2b", "v3"),
    ],
)  # fmt: skip
def test_what_a_node_should_serve(what, there, commit, recorded, wanted):
    records = [record(int(one[:-1]), one[-1]) for one in recorded.split()]
    found = chosen(there, commit, "", records)
    assert (found and found["release"]) == wanted, what


@pytest.mark.parametrize(
    ("what", "there", "commit", "deployed"),
    [
        ("it was killed before the ref moved", state("1a", "2b", live="v1"), "a", False),
        ("it was killed after that", state("1a", "2b", live="v1"), "b", True),
        ("a rollback was killed after the ref had moved", state("1b", "2a", "3b", live="v2"), "b", True),
    ],
)
def test_data_are_put_back_where_the_ref_did_not_move(what, there, commit, deployed):
    there = {**there, "held": True}
    held = Held(there["releases"][-1]["release"], "b", "20261124T200000.123Z")
    assert is_deployed(held, there, chosen(there, commit, "", []), commit) is deployed, what


@pytest.mark.parametrize("there", [state("1a", live="v1"), state("1b", "2a", live="v2"), state()])
def test_a_node_that_was_away_for_an_update_does_not_take_it_back(there):
    held, there = Held("v3", "b", "20261124T200000.123Z"), {**there, "held": False}
    assert is_deployed(held, there, chosen(there, "b", "", []), "b")
    assert not is_deployed(held, there, chosen(there, "a", "", []), "a")


class FakeNode:
    name = "web1"

    def __init__(self):
        self.joined = self.left = 0

    async def reach(self):
        return None

    async def join(self):
        self.joined += 1

    async def leave(self):
        self.left += 1

    async def call(self, verb, limit, **request):
        return {"apps": []}


class FakeSite:
    """No places; `settle_all` is another one in these tests."""

    def __init__(self):
        self.reactor, self.behind, self.stopping = Clock(), {}, False
        self.queue = Queue(self.reactor)
        self.config = Config(environments={"production": Environment("production", nodes=("web1",))})
        self.active, self.drained = set(), set()
        self.fleet = SimpleNamespace(drained=lambda name: name in self.drained)

    def places(self):
        return []

    @asynccontextmanager
    async def talking(self, node):
        yield node


def test_a_node_that_cannot_be_brought_up_to_date_is_tried_again_seldomer_and_at_once_when_asked(monkeypatch):
    site, node, tries, works = FakeSite(), FakeNode(), [], []

    async def settle_all(site, node):
        tries.append(site.reactor.seconds())
        if not works:
            raise Refused("no")
        return []

    monkeypatch.setattr(reconcile, "settle_all", settle_all)
    Deferred.fromCoroutine(reconcile.bring_back(site, node))
    for _ in range(100):
        site.reactor.advance(1)
    assert tries == [0, 30, 90] and node.joined == 0
    for _ in range(3):  # each reason to try again ends the pause, and is no second loop
        Deferred.fromCoroutine(reconcile.bring_back(site, node))
    assert tries == [0, 30, 90, 100, 100, 100] and len(site.reactor.getDelayedCalls()) == 1
    works.append(True)
    Deferred.fromCoroutine(reconcile.bring_back(site, node))
    assert node.joined == 1 and site.behind == {} and site.reactor.getDelayedCalls() == []


def test_a_node_that_was_drained_while_it_was_away_is_out_of_service_before_anything_else(monkeypatch):
    """Only its cable may have been cut, so that its balancer goes on giving it requests; and it may lack something."""
    site, node, left = FakeSite(), FakeNode(), []

    async def settle_all(site, node):
        left.append(node.left)
        raise Refused("no")

    monkeypatch.setattr(reconcile, "settle_all", settle_all)
    Deferred.fromCoroutine(reconcile.bring_back(site, node))
    site.drained.add("web1")
    Deferred.fromCoroutine(reconcile.bring_back(site, node))
    assert left == [0, 1] and node.joined == 0


def test_services_that_cannot_be_changed_are_tried_again_while_the_node_gets_requests(monkeypatch):
    site, node, left = FakeSite(), FakeNode(), [["shop"], ["shop"], []]

    async def settle_services(site, node):
        return left.pop(0)

    monkeypatch.setattr(reconcile, "settle_services", settle_services)
    Deferred.fromCoroutine(reconcile.bring_back(site, node))
    assert node.joined == 1 and len(left) == 2
    for _ in range(30):
        site.reactor.advance(1)
    assert len(left) == 1
    Deferred.fromCoroutine(reconcile.bring_back(site, node))
    assert left == [] and site.behind == {} and site.reactor.getDelayedCalls() == []


def test_config_vars_that_count_decide_between_releases_of_one_commit():
    there = state("5a", "6a", live="v5")
    there["releases"][0]["config"], there["releases"][1]["config"] = "c1", "c2"
    records = [record(5, "a")]
    assert chosen(there, "a", "c1", records)["release"] == "v5", "it was killed before the config vars counted"
    assert chosen(there, "a", "c2", records)["release"] == "v6", "it was killed between that and the switch"
    assert chosen(there, "a", "c3", records)["release"] == "v5", "nothing better is there"
