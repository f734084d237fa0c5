"""What verify makes of what a node says: each problem by itself, with what to do."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from gitdeploy.config import Config
from gitdeploy.errors import NotFound, Refused
from gitdeploy.names import Place
from gitdeploy.nodes.node import Process
from gitdeploy.ssh.commands.verify import row

SHOP = Place("shop", "production")
COMMIT, OTHER, TREE = "c" * 40, "d" * 40, "t" * 40
RUNNING = Process("web1", "v1", ("v1", "v3"), "web", "running", 42, 0, 9.0)


class FakeNode:
    """A node whose session answers what it is told to."""

    name = "web1"

    def __init__(
        self,
        down=None,
        *,
        live="v3",
        commit=COMMIT,
        tree=TREE,
        differs=(),
        processes=(RUNNING,),
        runs=True,
        services=(),
    ):
        self.down, self.found = down, list(processes)
        self.answers = {
            "examine": {"live": live, "commit": commit, "tree": tree, "differs": list(differs)},
            "check_services": {"services": dict(services)},
            "state": {"releases": [{"release": "v3", "runs": runs}]},
        }

    async def reach(self):
        return self.down

    async def call(self, verb, limit, **request):
        return self.answers[verb]

    async def processes(self, key):
        if isinstance(self.found, Refused):
            raise self.found
        return self.found


class FakeRepository:
    """One whose branch is at COMMIT and whose latest release is `latest`; it has no more commits than COMMIT and OTHER."""

    def __init__(self, latest):
        self.latest = latest

    def ref(self, environment, name):
        return COMMIT

    def commit(self, oid):
        return SimpleNamespace(tree=TREE) if oid in (COMMIT, OTHER) else None

    def releases(self, environment, latest=None):
        return [SimpleNamespace(number=self.latest)]


class FakeSite:
    def __init__(self, latest):
        self.config, self.made = Config(), FakeRepository(latest)

    def node(self, name):
        if name not in self.nodes:
            raise NotFound(f"there is no node '{name}'; did you mean web5?")
        return self.nodes[name]

    def key(self, place):
        return place.app

    def repository(self, app):
        return self.made

    def branch(self, place):
        return "refs/heads/master"

    def counts(self, place):
        return {}

    @asynccontextmanager
    async def talking(self, node):
        yield node


def problems(node, latest=3, place=SHOP):
    found, site = [], FakeSite(latest)
    site.nodes = {node.name: node} if node is not None else {}
    Deferred.fromCoroutine(row(SimpleNamespace(site=site), place, "web1")).addCallback(found.append)
    return found[0]["problems"]


def test_nothing_is_wrong_with_a_node_that_serves_what_its_ref_names():
    assert problems(FakeNode()) == []
    assert problems(FakeNode(processes=(), runs=False)) == []


def test_a_node_that_is_gone_is_not_taken_for_a_typo():
    assert problems(None) == [
        "gitdeploy.yaml names web1 for production, and it is not there; run: gitdeploy create-node web1"
    ]


MENDED = "; somebody changed them there: push another commit, which sends all of them again (git commit --allow-empty)"


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (FakeNode("no route"), "it does not answer: no route"),
        (
            FakeNode(live="v2", commit=OTHER),
            "its ref names ccccccc, it serves v2 (ddddddd); deploy it: redeploy shop",
        ),
        (FakeNode(live=None, commit=None), "its ref names ccccccc, it serves nothing; deploy it: redeploy shop"),
        (FakeNode(tree=OTHER, differs=["a", "b"]), f"files differ from the commit: a, b{MENDED}"),
        (
            FakeNode(tree=OTHER, differs=[f"{number:02}" for number in range(22)]),
            f"files differ from the commit: {', '.join(f'{number:02}' for number in range(20))} and 2 more{MENDED}",
        ),
        (FakeNode(processes=()), "no process of v3 is running; start it: redeploy shop"),
        (FakeNode(services={"redis": "it does not answer", "files": ""}), "redis is not well: it does not answer"),
    ],
)
def test_each_problem_says_what_to_do(node, says):
    assert problems(node) == [says]


def test_a_node_that_is_later_than_the_server_is_not_to_be_taken_back():
    unknown = "e" * 40
    [said] = problems(FakeNode(live="v4", commit=unknown))
    assert said.startswith("it serves v4 (eeeeeee), which this server does not know")
    assert said.endswith("push that commit again, or to go back to what it knows: redeploy production/shop")
    assert problems(FakeNode(live="v3", commit=unknown))[0].startswith("its ref names ccccccc")


def test_record_and_node_must_agree():
    assert problems(FakeNode(), latest=4) == [
        "the latest release on record is v4, it serves v3; deploy it: redeploy shop"
    ]


def test_what_to_do_is_for_the_environment_that_was_looked_at():
    staging = Place("shop", "staging")
    for node, latest in ((FakeNode(live=None, commit=None), 3), (FakeNode(processes=()), 3), (FakeNode(), 4)):
        [problem] = problems(node, latest, staging)
        assert problem.endswith(" it: redeploy staging/shop")
