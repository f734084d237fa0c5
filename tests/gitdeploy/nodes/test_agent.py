"""The talk with a node's agent: answers in pieces, lines meanwhile, an end in the middle."""

import json

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gitdeploy.errors import Refused
from gitdeploy.nodes.agent import EXPECTED, STALE, Agents, AgentSession, show, start


class FakeProcess:
    """The transport of an agent, which remembers what was written to it."""

    def __init__(self):
        self.written, self.closed = [], False

    def write(self, data):
        self.written.append(json.loads(data))

    def closeStdin(self):
        self.closed = True


class FakeRunner:
    def __init__(self):
        self.commands, self.started = [], []

    def start(self, command, protocol):
        self.started.append(protocol)
        protocol.transport = FakeProcess()
        return protocol.transport

    async def run(self, command, **how):
        self.commands.append((command.argv, how["stdin"]))
        return b""


@pytest.fixture
def agents():
    runner = FakeRunner()
    return Agents(Clock(), lambda: start(runner, ["agent"], "the connection to web1 was lost"))


@pytest.fixture
def session(agents):
    return AgentSession(agents.reactor, FakeRunner(), agents, "192.0.2.1:", ["ssh"])


def asking(session, verb="survey", say=None, limit=10.0, **request):
    """What `call` will give: a list that is empty until it has ended; a refusal is an item, too."""
    found = []
    Deferred.fromCoroutine(session.call(verb, limit, say, **request)).addCallbacks(
        found.append, lambda failure: found.append(failure.value)
    )
    return found


def tell(session, **message):
    session.agent.outReceived(json.dumps(message).encode() + b"\n")


def test_a_request_is_a_line_and_so_is_its_answer_in_however_many_pieces(session):
    found = asking(session, app="shop")
    assert session.agent.transport.written == [{"id": 1, "verb": "survey", "app": "shop"}]
    session.agent.outReceived(b'{"id": 1, "o')
    session.agent.outReceived(b'k": {"versions": []}}')
    assert found == []
    session.agent.outReceived(b"\n")
    assert found == [{"versions": []}] and session.reactor.getDelayedCalls() == []


def test_lines_for_the_pusher_come_before_the_answer(session):
    said = []
    found = asking(session, "install", said.append)
    tell(session, id=1, say="Unpacking sl ...")
    tell(session, id=1, say="Setting up sl ...")
    assert said == ["Unpacking sl ...", "Setting up sl ..."] and found == []
    tell(session, id=1, ok={})
    assert found == [{}]
    quiet = asking(session, "survey")
    tell(session, id=2, say="to nobody")
    tell(session, id=2, ok={})
    assert said[2:] == [] and quiet == [{}]


def test_the_answer_to_one_that_was_given_up_is_passed_over(session):
    first = Deferred.fromCoroutine(session.call("survey", 10.0))
    first.addErrback(lambda failure: None)
    first.cancel()
    second = asking(session, "discard")
    tell(session, id=1, ok={"late": True})
    tell(session, id=2, ok={"mine": True})
    assert second == [{"mine": True}]


def test_an_error_is_refused_with_its_details(session):
    found = asking(session)
    tell(session, id=1, error="no room", details=[str(number) for number in range(30)])
    assert str(found[0]) == "no room" and found[0].details == tuple(str(number) for number in range(10, 30))


def test_an_agent_that_ends_is_said_with_what_it_wrote(session):
    found = asking(session, "receive")
    session.agent.errReceived(b"Traceback\nMemoryError\n")
    session.agent.processEnded(Failure(ProcessTerminated(255, None, None)))
    [error] = found
    assert isinstance(error, Refused) and session.ended
    assert str(error) == "the connection to web1 was lost (exit code 255), during: receive"
    assert error.details == ("Traceback", "MemoryError")
    assert str(asking(session, "state")[0]) == "the connection to web1 was lost (exit code 255), during: state"


def ends(agent, status):
    agent.processEnded(Failure(ProcessTerminated(status, None, None)))


def test_an_agent_that_is_expected_waits_for_the_next_session(agents):
    agents.expect()
    waiting = agents.waiting
    agents.expect()
    assert agents.waiting is waiting, "one is enough"
    assert agents.take() is waiting and agents.waiting is None and agents.reactor.getDelayedCalls() == []
    assert agents.take() is not waiting


def test_an_agent_does_not_wait_for_ever(agents):
    agents.expect()
    waiting = agents.waiting
    agents.reactor.advance(EXPECTED - 1)
    agents.expect()
    agents.reactor.advance(EXPECTED - 1)
    assert not waiting.transport.closed, "more was expected meanwhile"
    agents.reactor.advance(1)
    assert waiting.transport.closed and agents.take() is not waiting


def test_an_agent_that_ended_while_it_waited_is_nobodys(agents):
    agents.expect()
    waiting = agents.waiting
    ends(waiting, 255)
    assert agents.take() is not waiting and agents.reactor.getDelayedCalls() == []


def test_a_machine_that_was_set_up_meanwhile_gets_another_agent(session):
    found, first = asking(session, app="shop"), session.agent
    ends(first, STALE)
    assert found == [] and session.agent is not first and not session.ended
    assert session.agent.transport.written == [{"id": 1, "verb": "survey", "app": "shop"}]
    tell(session, id=1, ok={"versions": []})
    assert found == [{"versions": []}]


def test_what_waited_is_as_old_as_the_one_that_was_asked(agents, session):
    found, first = asking(session, app="shop"), session.agent
    agents.expect()
    waiting = agents.waiting
    ends(first, STALE)
    assert waiting.transport.closed and session.agent not in (first, waiting)
    tell(session, id=1, ok={})
    assert found == [{}]


def test_where_no_agent_can_wait_none_does(agents):
    def start():
        raise BlockingIOError("no process to be had")

    agents.start = start
    agents.expect()
    assert agents.waiting is None and agents.reactor.getDelayedCalls() == []


def test_rsync_gets_the_names_on_its_input(session):
    Deferred.fromCoroutine(session.send("/stage", ["a", "#b"], "/srv/x", 10.0, print))
    [(argv, stdin)] = session.runner.commands
    assert argv[-2:] == ("/stage/", "192.0.2.1:/srv/x/") and "--rsh" in argv
    assert stdin == b"./a\0./#b\0"
    Deferred.fromCoroutine(session.send("/stage", None, "/srv/x", 10.0, print))
    argv, stdin = session.runner.commands[1]
    assert "--recursive" in argv and stdin == b""


def test_progress_is_the_last_line_of_rsyncs():
    said = []
    show(b"\r    32,768   5%  1.00MB/s  0:00:01\r  65,536  10%  2.00MB/s  0:00:01 (xfr#1)", said.append)
    show(b"nonsense", said.append)
    assert said == ["10% of the files, 65,536 bytes, 2.00MB/s"]
