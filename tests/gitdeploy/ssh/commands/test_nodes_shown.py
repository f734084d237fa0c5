"""What `nodes` says of nodes that do not answer."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from gitdeploy import config
from gitdeploy.deploy.journal import Journal
from gitdeploy.errors import Refused
from gitdeploy.names import Place
from gitdeploy.nodes.fleet import Fleet, Machine
from gitdeploy.ssh.commands import nodes

SETTINGS = config.parse(b'environments: {production: {nodes: "web1, web2", missing: 1}}\n')
LOST = "the connection to web2 was lost (exit code 255), during: status"


class FakeNode:
    """A machine that is `down`, or is lost when it is asked how it is, or says what is `wrong` there."""

    name, address, setup = "web2", "192.0.2.2", "1"

    def __init__(self, down=None, lost=None, wrong=None):
        self.down, self.lost, self.wrong, self.ended = down, lost, wrong, False

    async def reach(self):
        return self.down

    async def status(self):
        self.ended = self.lost is not None
        raise Refused(self.lost or self.wrong)


@pytest.fixture
def shown(tmp_path):
    """What `nodes` says of web2, without which shop was deployed."""
    fleet, journal = Fleet(tmp_path / "nodes"), Journal(tmp_path / "deploys", lambda: 1.0)
    fleet.save(Machine("web2", "192.0.2.2", setup="1"))
    for app, there in (("shop", ["web1"]), ("other", ["web1", "web2"])):
        entry = journal.begin(app, "production", user="alice", source="git push")
        entry.event("committed", nodes=there)
        entry.end("live", release="v1")

    def look(node):
        @asynccontextmanager
        async def talking(one):
            yield one

        site = SimpleNamespace(
            fleet=fleet, journal=journal, config=SETTINGS, node=lambda name: node, talking=talking,
            places=lambda: [Place("other", "production"), Place("shop", "production")], is_deployed=lambda place: True,
            environment=lambda place: SETTINGS.environments[place.environment],
        )  # fmt: skip
        call = SimpleNamespace(site=site, may=lambda place: True, io=SimpleNamespace(remote=True))
        found = []
        Deferred.fromCoroutine(nodes.row(call, "web2")).addBoth(found.append)
        [row] = found
        return row["state"], row["behind"]

    return look


def test_one_that_is_down_lacks_what_was_deployed_without_it(shown):
    assert shown(FakeNode(down="no route")) == ("down: no route", ["production/shop"])


def test_one_that_is_lost_while_it_is_asked_is_down(shown):
    assert shown(FakeNode(lost=LOST)) == (f"down: {LOST}", ["production/shop"])


def test_one_that_answers_with_a_problem_is_not_called_down(shown):
    assert shown(FakeNode(wrong="web2: its disk is full")) == ("web2: its disk is full", [])
