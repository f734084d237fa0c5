"""logs of several nodes, of which one is down: that is when somebody reads them."""

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from gitdeploy.errors import Refused
from gitdeploy.names import Place
from gitdeploy.ssh.commands.logs import run

LOST = "the connection to web3 was lost (exit code 255), during: follow"


class FakeNode:
    """A node with lines of an app, at seconds of one minute, that can be reached or not."""

    def __init__(self, name, *seconds, down=None):
        self.name, self.down = name, down
        self.lines = [f"2026-11-24T01:02:{second:02}.000Z v1 web | asked" for second in seconds]
        self.following = None

    async def reach(self):
        return self.down

    async def logs(self, key, most):
        return self.lines[-most:] if most else []

    async def follow(self, key, sink):
        self.sink, self.following = sink, Deferred()
        await self.following


class Desk:
    """Somebody who types `logs`: what he sees, and how it ended."""

    def __init__(self, *nodes, follow=False, most=100):
        self.out, self.err, self.status, self.refused = [], [], None, None
        site = SimpleNamespace(existing=lambda app: None, key=lambda place: "shop", nodes_of=lambda place: nodes)
        io = SimpleNamespace(write=self.out.append, error=self.err.append)
        args = SimpleNamespace(app="shop", n=most, follow=follow)
        call = SimpleNamespace(args=args, io=io, site=site, place=lambda text: Place("shop", "production"))
        Deferred.fromCoroutine(run(call)).addCallbacks(self.ended, self.failed)

    def ended(self, status):
        self.status = status

    def failed(self, failure):
        failure.trap(Refused)
        self.refused = str(failure.value)


def test_lines_of_those_that_answer_are_there_although_one_is_down():
    desk = Desk(FakeNode("web1", 1, 5), FakeNode("web2", 3), FakeNode("web3", 4, down="no route"))
    assert [line.partition("T01:02:")[::2] for line in desk.out] == [
        ("web1 2026-11-24", "01.000Z v1 web | asked"),
        ("web2 2026-11-24", "03.000Z v1 web | asked"),
        ("web1 2026-11-24", "05.000Z v1 web | asked"),
    ]
    assert desk.err == ["gitdeploy: web3: it does not answer: no route; what it writes is not shown"]
    assert desk.status == 0


@pytest.mark.parametrize("nodes", [1, 2])
def test_where_none_answers_it_fails(nodes):
    desk = Desk(*(FakeNode(f"web{number + 1}", 1, down="no route") for number in range(nodes)))
    assert desk.refused == f"web{nodes}: it does not answer: no route; look whether it runs, see: nodes"
    assert desk.out == [] and len(desk.err) == nodes - 1


def test_who_follows_goes_on_with_the_others_and_hears_at_once_who_is_gone():
    web1, web2, web3 = FakeNode("web1"), FakeNode("web2", down="no route"), FakeNode("web3")
    desk = Desk(web1, web2, web3, follow=True)
    assert desk.err == ["gitdeploy: web2: it does not answer: no route; what it writes is not shown"]
    web3.following.errback(Refused(LOST))
    assert desk.err[1:] == [f"gitdeploy: web3: {LOST}; what it writes is not shown"] and desk.status is None
    web1.sink("2026-11-24T01:02:09.000Z v1 web | asked")
    assert desk.out == ["web1 2026-11-24T01:02:09.000Z v1 web | asked"]
    web1.following.errback(Refused("the connection to web1 was lost"))
    assert desk.refused == "web1: the connection to web1 was lost; look whether it runs, see: nodes"
