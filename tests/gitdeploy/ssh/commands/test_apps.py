"""`apps`: where an app answers is what a node says that has it live, whichever of its nodes that is."""

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from gitdeploy import config
from gitdeploy.deploy.journal import Journal
from gitdeploy.deploy.queue import Queue
from gitdeploy.deploy.site import Site
from gitdeploy.errors import Refused
from gitdeploy.names import Place
from gitdeploy.nodes.fleet import Fleet, Machine
from gitdeploy.runner import Runner
from gitdeploy.ssh.commands import apps

SETTINGS = config.parse(b'environments: {production: {nodes: "web1, web2"}}\n')
LIVE = {"live": "v1", "releases": [{"release": "v1", "hosts": ["shop.localhost"]}]}


class FakeNode:
    """A node that is `down`, or says its `state`; None: it is lost when it is asked."""

    def __init__(self, state=None, down=None):
        self.state, self.down = state, down

    async def reach(self):
        return self.down

    def session(self):
        return self

    async def call(self, verb, limit, **request):
        if self.state is None:
            raise Refused("the connection was lost")
        return self.state

    async def finish(self):
        pass

    def url(self, host):
        return f"http://{host}/"


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (FakeNode(LIVE), FakeNode(down="no route"), ["http://shop.localhost/"]),
        (FakeNode(down="no route"), FakeNode(LIVE), ["http://shop.localhost/"]),
        (FakeNode(), FakeNode(LIVE), ["http://shop.localhost/"]),
        (FakeNode({"live": None, "releases": []}), FakeNode(LIVE), ["http://shop.localhost/"]),
        (FakeNode(), FakeNode(down="no route"), []),
    ],
    ids=["both", "the first is down", "the first is lost", "the first has nothing yet", "none"],
)
def test_the_first_that_has_it_live_says_where(tmp_path, first, second, found):
    fleet, nodes = Fleet(tmp_path / "nodes"), {"web1": first, "web2": second}
    for name in nodes:
        fleet.save(Machine(name, "192.0.2.1"))
    journal = Journal(tmp_path / "deploys", lambda: 1.0)
    site = Site(None, Runner(None), tmp_path, SETTINGS, nodes.__getitem__, journal, Queue(None), fleet)
    results = []
    Deferred.fromCoroutine(apps.urls(SimpleNamespace(site=site), Place("shop", "production"))).addBoth(results.append)
    assert results == [found]
