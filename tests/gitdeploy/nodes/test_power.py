"""Machines are started and stopped at providers that take a while, and an sshd is waited for, at the address that there is then."""

import socket
import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from gitdeploy.errors import NotFound, Refused
from gitdeploy.nodes import waiting
from gitdeploy.nodes.cloud import Found
from gitdeploy.nodes.fleet import Machine
from gitdeploy.nodes.power import Power


class FakeCloud:
    """A provider; `states` are what its machine goes through, and `told` what it was told."""

    name = "fake"

    def __init__(self, *states):
        self.states, self.told = list(states), []

    def start(self, number):
        self.told.append(f"start {number}")

    def stop(self, number):
        self.told.append(f"stop {number}")

    def machine(self, number):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        address = ("127.0.0.1",) if state == "running" else ()
        return state and Found("n-1", "web1", state, address, problem="no room" if state == "stopped" else "")


class PowerTest(TestCase):
    timeout = 20

    def setUp(self):
        self.patch(waiting, "POLL", 0.05)
        self.said, self.shown = [], []
        self.power = Power(reactor, self.said.append, self.shown.append)

    def sshd(self):
        """A machine that says what an sshd says first, at an address that it did not have before."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def greet():
            while True:
                try:
                    with server.accept()[0] as connection:
                        connection.sendall(b"SSH-2.0-x\r\n")
                except OSError:
                    return

        threading.Thread(target=greet, daemon=True).start()
        return Machine("web1", "192.0.2.1", server.getsockname()[1], provider="fake", id="n-1")

    async def test_one_that_is_stopped_is_started_and_waited_for_where_it_is_then(self):
        cloud = FakeCloud("stopped", "stopped", "pending", "running")
        assert await self.power.start(cloud, self.sshd(), 5.0) == "127.0.0.1"
        assert cloud.told == ["start n-1"]
        assert self.shown[:3] == ["web1: asking fake", "web1: stopped", "web1: pending"]
        assert self.shown[-1].endswith("sshd answers")

    async def test_one_that_runs_is_not_told_to(self):
        cloud = FakeCloud("running")
        assert await self.power.start(cloud, self.sshd(), 5.0) == "127.0.0.1" and cloud.told == []

    async def test_one_that_does_not_start_says_why(self):
        cloud = FakeCloud("stopped")
        failed = await self.assertFailure(Deferred.fromCoroutine(self.power.start(cloud, self.sshd(), 0.2)), Refused)
        assert str(failed) == "web1 is still stopped at fake; see there why" and failed.details == ("no room",)

    async def test_one_that_ends_while_its_sshd_is_waited_for_says_why(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        machine = Machine("web1", "127.0.0.1", port, provider="fake", id="n-1")
        failed = await self.assertFailure(
            Deferred.fromCoroutine(self.power.start(FakeCloud("running", "stopped"), machine, 10.0)), Refused
        )
        assert str(failed) == "web1 is stopped again at fake; see there why" and failed.details == ("no room",)

    async def test_one_that_is_shut_down_is_waited_for(self):
        cloud = FakeCloud("running", "running", "stopping", "stopped")
        machine = Machine("web1", "127.0.0.1", 22, provider="fake", id="n-1")
        await self.power.stop(cloud, machine, 5.0)
        assert cloud.told == ["stop n-1"] and self.shown[-1] == "web1: stopping"
        await self.power.stop(cloud, machine, 5.0)
        assert cloud.told == ["stop n-1"]

    async def test_one_that_is_gone_is_told(self):
        machine = Machine("web1", "127.0.0.1", 22, provider="fake", id="n-1")
        failed = await self.assertFailure(
            Deferred.fromCoroutine(self.power.start(FakeCloud(None), machine, 5.0)), NotFound
        )
        assert str(failed) == "web1 is gone at fake; forget it: gitdeploy destroy-node web1"
