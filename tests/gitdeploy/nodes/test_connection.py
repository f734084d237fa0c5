"""A kept connection, with a clock of its own: made, lost, made again, waited for."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gitdeploy.nodes.connection import LIMIT, RETRY, Connection


class FakeTransport:
    """A process that notes the signals it gets."""

    def __init__(self):
        self.pid, self.signals = 0, []

    def signalProcess(self, signal):
        self.signals.append(signal)


class FakeRunner:
    """Starts nothing, and remembers what it was to start."""

    def __init__(self):
        self.started = []

    def start(self, command, protocol):
        self.started.append(command.argv)
        protocol.transport = FakeTransport()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A connection, its clock and runner, and how often it was up; ends of groups are noted instead of made."""
    monkeypatch.setattr("gitdeploy.nodes.connection.end_group", lambda reactor, process: process.signals.append("end"))
    clock, runner, ups = Clock(), FakeRunner(), []
    connection = Connection(clock, runner, "web1", ["ssh"], tmp_path / "socket", lambda: ups.append(clock.seconds()))
    return connection, clock, runner, ups


def ended(connection, said=b""):
    """Its ssh ends, having said something."""
    connection.errReceived(said)
    connection.processEnded(Failure(ProcessDone(0)))


def settling(connection):
    """What `settle` will return, in a list that is empty until it has."""
    found = []
    Deferred.fromCoroutine(connection.settle()).addCallback(found.append)
    return found


def test_it_is_up_when_ssh_says_so_and_whoever_waits_is_told(made):
    connection, _, runner, ups = made
    connection.open()
    connection.open()
    assert runner.started == [("ssh",)] and connection.state == "connecting"
    waiting = [settling(connection), settling(connection)]
    assert waiting == [[], []]
    connection.outReceived(b"up\n")
    assert waiting == [[True], [True]] and ups == [0.0] and settling(connection) == [True]


def test_one_that_is_lost_is_made_again_slower_each_time(made):
    connection, clock, runner, ups = made
    connection.open()
    for pause in (*RETRY, RETRY[-1]):
        ended(connection, b"ssh: connect to host 192.0.2.1 port 22: No route to host\r\n")
        assert connection.state == "down" and connection.reason.endswith("No route to host")
        count = len(runner.started)
        clock.advance(pause - 0.1)
        assert len(runner.started) == count
        clock.advance(0.2)
        assert len(runner.started) == count + 1
    connection.outReceived(b"up\n")
    ended(connection)
    assert connection.reason == "the connection was lost"
    clock.advance(RETRY[0] + 0.01)
    connection.outReceived(b"up\n")
    assert len(ups) == 2


def test_whoever_asks_need_not_wait_for_the_next_try(made):
    connection, clock, runner, _ = made
    connection.open()
    ended(connection)
    found = settling(connection)
    assert len(runner.started) == 2 and found == []
    ended(connection, b"Connection refused")
    assert found == [False] and connection.reason == "Connection refused"
    assert [call.time for call in clock.getDelayedCalls()] == [clock.seconds() + RETRY[1]]


def test_a_machine_that_takes_the_connection_and_says_nothing_is_given_up(made):
    connection, clock, _, _ = made
    connection.open()
    clock.advance(LIMIT + 0.1)
    assert connection.transport.signals == ["end"]
    ended(connection)
    assert connection.reason == f"it said nothing for {LIMIT:g} s" and connection.state == "down"


def test_a_closed_one_stays_closed(made):
    connection, clock, runner, ups = made
    connection.open()
    found = settling(connection)
    connection.close()
    assert found == [False] and connection.transport.signals == ["end"]
    ended(connection)
    assert clock.getDelayedCalls() == [] and len(runner.started) == 1 and ups == []


def test_whoever_goes_away_while_he_waits_is_forgotten(made):
    connection, _, _, _ = made
    connection.open()
    waiting = Deferred.fromCoroutine(connection.settle())
    waiting.addErrback(lambda failure: None)
    waiting.cancel()
    connection.outReceived(b"up\n")
    assert connection.waiting == []
