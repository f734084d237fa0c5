"""Several nodes in one deploy: who failed in what, who may be missing, who is late."""

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gitdeploy.config import Config, Environment
from gitdeploy.deploy.onnodes import OnNodes, named, refusal
from gitdeploy.deploy.report import Report
from gitdeploy.errors import Refused
from gitdeploy.nodes.fleet import Fleet, Machine

from .test_stages import plan


class FakeNode:
    """A node that can be reached or not, whose sessions answer with nothing."""

    def __init__(self, name, down=None, fails=()):
        self.name, self.down, self.ended, self.fails = name, down, False, list(fails)
        self.setup, self.expected = "2", False

    async def reach(self):
        return self.down

    def session(self):
        return self

    def close(self):
        self.ended = True

    def expect(self):
        self.expected = True


@pytest.fixture
def site(tmp_path):
    fleet = Fleet(tmp_path)
    for name in ("web1", "web2", "web3", "web4"):
        fleet.save(Machine(name, "192.0.2.1", setup="2"))
    return SimpleNamespace(
        fleet=fleet,
        reactor=Clock(),
        config=Config(),
        behind={"web2": None},
        rejoin=lambda node: rejoined.append(node.name),
        runs_jobs=lambda place, node: node.name == "web1",
    )


rejoined: list[str] = []


def of(site, *nodes):
    """These nodes in one deploy, and the lines of its report."""
    rejoined.clear()
    said = []
    made = OnNodes(site, nodes, Report(said.append))
    made.plan(plan())
    return made, said


def outcome(work):
    """What came of it: None, or what it was refused with."""
    found = []
    Deferred.fromCoroutine(work).addCallbacks(found.append, lambda failure: found.append(failure.value))
    [result] = found
    return result


def failed(*rows):
    """Failures by node: ``("web1", "no room", "a detail")``."""
    return [
        (SimpleNamespace(node=FakeNode(name)), Failure(Refused(reason, *details))) for name, reason, *details in rows
    ]


def test_with_a_single_node_there_is_nothing_to_name():
    error = refusal(failed(("embedded", "it does not start", "Traceback")), 1)
    assert (str(error), error.details) == ("it does not start", ("Traceback",))


def test_the_node_that_failed_stands_before_the_reason_and_before_what_it_wrote():
    error = refusal(failed(("web2", "it does not start", "Traceback")), 2)
    assert (str(error), error.details) == ("web2: it does not start", ("web2: Traceback",))


def test_one_reason_is_said_once_and_others_beside_it():
    error = refusal(failed(("web1", "no room"), ("web2", "no route"), ("web3", "no room")), 3)
    assert (str(error), error.details) == ("web1, web3: no room", ("web2: no route",))
    assert named("no room", ["web1", "web3"], 3) == "web1, web3: no room"


def test_all_end_before_anything_is_raised(site):
    nodes, _ = of(site, FakeNode("web1"), FakeNode("web2"))
    pause, done = Deferred(), []

    async def work(on):
        if on.node.name == "web1":
            raise Refused("no")
        await pause
        done.append(on.node.name)

    found = []
    Deferred.fromCoroutine(nodes.all(work)).addErrback(lambda failure: found.append(str(failure.value)))
    assert found == []
    pause.callback(None)
    assert found == ["web1: no"] and done == ["web2"]


def test_a_defect_is_not_taken_for_a_refusal(site):
    nodes, _ = of(site, FakeNode("web1"), FakeNode("web2"))

    async def work(on):
        raise KeyError("new")

    assert isinstance(outcome(nodes.all(work)), KeyError)


def test_a_deploy_goes_on_without_as_many_as_may_be_missing(site):
    nodes, said = of(site, FakeNode("web1"), FakeNode("web2", "no route"))
    refused = outcome(nodes.connect(0, "production"))
    assert str(refused) == (
        "web2 does not answer (no route); push again when all are back, or write `missing: 1` for production in gitdeploy.yaml"
        " and have the server read it again (systemctl reload gitdeploy, or SIGHUP)"
    )
    assert str(outcome(nodes.connect(1, "production", exclusive=True))).startswith(
        "an exclusive update wants all nodes"
    )
    assert outcome(nodes.connect(1, "production")) is None
    assert said == [" !     web2 does not answer; it catches up when it is back"] and nodes.names == "web1"
    assert [on.node.name for on in nodes.absent] == ["web2"]


def test_a_node_that_was_never_set_up_or_lets_nobody_in_is_said_with_what_to_run(site):
    site.fleet.change("web2", setup=None)
    denied = "gitdeploy@192.0.2.3: Permission denied (publickey,password)."
    nodes, said = of(
        site, FakeNode("web1"), FakeNode("web2", denied), FakeNode("web3", denied), FakeNode("web4", "no route")
    )
    refused = outcome(nodes.connect(2, "production"))
    assert (str(refused), *refused.details) == (
        "web2: it has not been set up; run: gitdeploy setup-node web2",
        "web3: it does not let the server in; run: gitdeploy setup-node web3",
    )
    assert outcome(nodes.connect(3, "production")) is None
    assert said == [
        " !     web2: it has not been set up; run: gitdeploy setup-node web2; it catches up when it is set up",
        " !     web3: it does not let the server in; run: gitdeploy setup-node web3; it catches up when it is set up",
        " !     web4 does not answer; it catches up when it is back",
    ]
    nodes, _ = of(site, FakeNode("web2", denied))
    assert str(outcome(nodes.connect(0, "production"))) == "it has not been set up; run: gitdeploy setup-node web2"


@pytest.fixture
def surveyed(monkeypatch):
    """What OnNode.survey does: it fails as often as the node says, with the reason, and its session with it."""
    asked = []

    async def survey(on):
        asked.append(on.node.name)
        if on.node.fails:
            reason, down = on.node.fails.pop(0)
            on.node.down, on.node.ended = down, True
            raise Refused(reason, "raw lines of ssh")
        on.node.ended = False

    monkeypatch.setattr("gitdeploy.deploy.onnodes.OnNode.survey", survey)
    return asked


LOST = "the connection was lost (exit code 255), during: survey"


def test_a_node_that_is_lost_before_anything_was_done_there_counts_as_one_that_was_down(site, surveyed):
    web2 = FakeNode("web2", fails=[(LOST, "no route")])
    nodes, said = of(site, FakeNode("web1"), web2)
    assert outcome(nodes.connect(1, "production")) is None
    assert outcome(nodes.survey()) is None
    assert said == [" !     web2 does not answer; it catches up when it is back"] and nodes.names == "web1"

    nodes, said = of(site, FakeNode("web1"), FakeNode("web2", "no route"), FakeNode("web3", fails=[(LOST, "no power")]))
    assert outcome(nodes.connect(1, "production")) is None
    refused = outcome(nodes.survey())
    assert str(refused).startswith("web2, web3 do not answer (no route); push again when one of them is back, or write")
    assert refused.details == ()


def test_a_node_that_is_back_at_once_is_asked_once_more(site, surveyed):
    nodes, said = of(site, FakeNode("web1"), FakeNode("web2", fails=[(LOST, None)]))
    assert outcome(nodes.connect(0, "production")) is None
    assert outcome(nodes.survey()) is None
    assert surveyed == ["web1", "web2", "web2"] and said == [] and nodes.names == "web1, web2"
    nodes, _ = of(site, FakeNode("web1"), FakeNode("web2", fails=[(LOST, None), ("it crashed", None)]))
    assert outcome(nodes.connect(1, "production")) is None
    assert str(outcome(nodes.survey())) == "web2: it crashed"  # it is there


def test_a_balancer_that_was_set_up_for_other_nodes_is_said_with_what_to_run(site):
    def node(name):
        return FakeNode(name) if name == "lb1" else site.fleet.get(name)

    site.node = node
    nodes, said = of(site, FakeNode("web1"))
    site.fleet.save(Machine("lb1", "192.0.2.8", setup="2", roles=("balancer",)))
    nodes.look_at_balancer(Environment("production", balancer="lb1"))
    nodes.look_at_balancer(Environment("production"))
    assert said == []
    site.fleet.change("lb1", setup="1")
    nodes.look_at_balancer(Environment("production", balancer="lb1"))
    nodes.look_at_balancer(Environment("production", balancer="lb7"))
    assert said == [
        "       lb1: the balancer is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node lb1",
        " !     gitdeploy.yaml names lb7 for production, and it is not there; run: gitdeploy create-node lb7",
    ]


def test_who_would_run_the_jobs_is_away_and_nobody_else_runs_them(site):
    nodes, said = of(site, FakeNode("web1", "no route"), FakeNode("web2"))
    nodes.plan(plan(b"platform: static\ncron:\n  tick: '* * * * * bin/tick.py'\n"))
    assert outcome(nodes.connect(1, "production")) is None
    assert said == [" !     web1 does not answer; it catches up when it is back; no job of cron is run until then"]


def test_it_never_goes_on_without_any(site):
    nodes, _ = of(site, FakeNode("web1", "no route"))
    assert "web1 does not answer" in str(outcome(nodes.connect(1, "production")))


def test_one_that_is_not_switched_is_late_and_gets_it_later(site, monkeypatch):
    async def switch(on):
        if on.node.name != "web1":
            raise Refused("gone")

    monkeypatch.setattr("gitdeploy.deploy.onnodes.OnNode.switch", switch)
    nodes, said = of(site, FakeNode("web1"), FakeNode("web2"))
    assert outcome(nodes.switch()) is None
    assert said == [" !     web2 is not switched yet (gone); it is as soon as it can be"] and nodes.names == "web1"
    nodes.close(rejoin=True)
    assert rejoined == ["web2"]
    nodes, _ = of(site, FakeNode("web2"), FakeNode("web3"))
    assert str(outcome(nodes.switch())) == "web2, web3: gone"


def test_those_that_could_not_be_brought_up_to_date_are_tried_again(site):
    nodes, _ = of(site, FakeNode("web1"), FakeNode("web2"))
    nodes.rejoin()
    assert rejoined == ["web2"]


def test_one_that_is_late_lets_nobody_in_before_it_has_what_is_live(site, monkeypatch):
    asked = []

    async def unhold(on, counts):
        asked.append(on.node.name)
        if on.node.name == "web2":
            raise Refused("gone")

    monkeypatch.setattr("gitdeploy.deploy.onnodes.OnNode.unhold", unhold)
    nodes, said = of(site, FakeNode("web1"), FakeNode("web2"), FakeNode("web3"))
    nodes.late.add(nodes.nodes[2])
    assert outcome(nodes.let_in({})) is None
    assert asked == ["web1", "web2"]
    assert said == [" !     web2 answers nobody yet (gone); it does as soon as it can"] and nodes.names == "web1"
    nodes.close(rejoin=True)
    assert sorted(rejoined) == ["web2", "web3"]


def test_the_next_deploy_is_expected_where_nobody_has_to_set_up_anew(site):
    nodes, _ = of(site, FakeNode("web1"), FakeNode("web2"), FakeNode("web3"))
    nodes.nodes[0].facts, nodes.nodes[1].facts = {"setup": "2"}, {"setup": "1"}
    nodes.close(rejoin=False)
    assert [on.node.expected for on in nodes.nodes] == [True, False, False]
    assert all(on.node.ended for on in nodes.nodes)
