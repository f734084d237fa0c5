"""A creation that goes well leaves a record; any other leaves nothing, neither here nor at the provider."""

import tempfile
import threading
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from gitdeploy.errors import CommandFailed, GitdeployError, Refused
from gitdeploy.nodes import creation, waiting
from gitdeploy.nodes.cloud import Found
from gitdeploy.nodes.creation import Creation, Wanted
from gitdeploy.nodes.fleet import Fleet, Logins, Machine
from gitdeploy.nodes.offers import Offer, Size

WANTED = Wanted(None, None, None, ("apps",), 5.0, "x86_64")
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPd6z3u10T8Ev97cJISrmpqv3fgYVj/vtpWjEuQNFkeL"


class FakeCloud:
    """A provider; `states` are what its machine goes through, `gate` holds its creation back."""

    name, login = "fake", "admin"

    def __init__(self, *states, gate=None, stays=False):
        self.states, self.gate, self.stays = list(states), gate, stays
        self.made, self.created = [], threading.Event()

    def sizes(self):
        return [Size("s1", "small", 512, 10, 0.01)]

    def images(self):
        return [Offer("i1", "Debian 12")]

    def prepare(self, image, say):
        say(f"made {image}")

    def create(self, name, size, image, login, key):
        self.created.set()
        if self.gate:
            self.gate.wait(10)
        self.made.append((name, size, image, login, key))
        return self.machine("n-1")

    def machine(self, number):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return state and Found("n-1", "web1", state, ("127.0.0.1",) if state == "running" else (), (), (HOST_KEY,))

    def destroy(self, number):
        if self.stays:
            raise Refused("it is protected")
        self.made.clear()
        return True


class CreationTest(TestCase):
    timeout = 20

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        top = Path(directory.name)
        self.fleet, self.logins = Fleet(top / "nodes"), Logins(top / "ssh")
        self.logins.path.mkdir(parents=True)
        (self.logins.path / "setup_ed25519.pub").write_text("ssh-ed25519 AAAA gitdeploy setup\n")
        self.said, self.shown = [], []
        self.creation = Creation(reactor, None, self.fleet, self.logins, self.said.append, self.shown.append)
        self.patch(waiting, "POLL", 0.05)
        self.patch(creation.entry, "silence", lambda address, port: None)
        self.lets_in(True)

    def lets_in(self, good):
        async def enter(*args):
            if not good:
                raise CommandFailed("Permission denied (publickey).")

        self.patch(creation.entry, "enter", enter)

    async def fails(self, cloud, wanted=WANTED):
        try:
            await self.creation.create(cloud, "web1", wanted)
        except GitdeployError as error:
            assert self.fleet.names() == [] and self.fleet.pinned("web1") == []
            return error
        raise AssertionError("it did not fail")

    async def test_one_that_goes_well(self):
        cloud = FakeCloud("pending", "pending", "running")
        machine = await self.creation.create(cloud, "web1", WANTED)
        assert machine == Machine("web1", "127.0.0.1", 22, "admin", "fake", "n-1", ("apps",)) == self.fleet.get("web1")
        assert self.fleet.pinned("web1") == [HOST_KEY]
        assert cloud.made == [("web1", "s1", "i1", "admin", "ssh-ed25519 AAAA gitdeploy setup")]
        assert self.shown[:3] == [
            "asking fake", "web1: pending, no address yet", "web1: pending, no address yet"
        ]  # fmt: skip
        assert "web1: running, 127.0.0.1" in self.shown and "made i1" in self.said

    async def test_one_that_has_failed_at_its_provider(self):
        cloud = FakeCloud("pending", "error")
        error = await self.fails(cloud)
        assert str(error).startswith("web1 is error at fake") and cloud.made == []
        assert "Destroying web1 again" in self.said

    async def test_one_that_vanishes(self):
        cloud = FakeCloud("pending", None)
        assert "fake has given web1 up" in str(await self.fails(cloud)) and cloud.made == []

    async def test_one_that_never_runs(self):
        cloud = FakeCloud("pending")
        error = await self.fails(cloud, Wanted("s1", "i1", None, (), 0.3, ""))
        assert "web1 is still pending there, without an address" in str(error) and cloud.made == []

    async def test_one_without_an_sshd(self):
        self.patch(creation.entry, "silence", lambda address, port: "Connection refused")
        cloud = FakeCloud("running")
        error = await self.fails(cloud, Wanted("s1", "i1", None, (), 0.3, ""))
        assert "no sshd answers at 127.0.0.1 port 22 (Connection refused)" in str(error) and cloud.made == []

    async def test_one_that_ends_before_it_has_an_sshd(self):
        self.patch(creation.entry, "silence", lambda address, port: "No route to host")
        cloud = FakeCloud("running", "stopped")
        assert "web1 is stopped at fake" in str(await self.fails(cloud)) and cloud.made == []

    async def test_one_that_does_not_let_us_in(self):
        self.lets_in(False)
        cloud = FakeCloud("running")
        error = await self.fails(cloud, Wanted("s1", "i1", "root", (), 0.3, ""))
        assert "root may not log in at 127.0.0.1 port 22 and become root: Permission denied" in str(error)
        assert error.details == ("it needs this line in /root/.ssh/authorized_keys: ssh-ed25519 AAAA gitdeploy setup",)
        assert cloud.made == []

    async def test_one_that_cannot_be_destroyed_again_is_shouted_about(self):
        error = await self.fails(FakeCloud("error", stays=True))
        assert "may cost money: gitdeploy destroy-node web1 --provider fake" in str(error)
        assert error.details == ("it is n-1 there", "it is protected")

    async def test_one_that_is_interrupted_while_it_boots(self):
        cloud = FakeCloud("pending")
        task = Deferred.fromCoroutine(self.creation.create(cloud, "web1", WANTED))
        while not cloud.made:
            await deferLater(reactor, 0.01, lambda: None)
        await deferLater(reactor, 0.1, lambda: None)
        task.cancel()
        await self.assertFailure(task, CancelledError)
        assert cloud.made == [] and self.fleet.names() == []

    async def test_one_that_is_interrupted_while_its_provider_takes_it_on_is_waited_for_and_destroyed(self):
        gate = threading.Event()
        cloud = FakeCloud("pending", gate=gate)
        destroyed = []
        cloud.destroy = lambda number: destroyed.append(number) or True
        task = Deferred.fromCoroutine(self.creation.create(cloud, "web1", WANTED))
        while not cloud.created.is_set():
            await deferLater(reactor, 0.01, lambda: None)
        ended = []
        task.addBoth(lambda result: ended.append(result) or result)
        task.cancel()
        await deferLater(reactor, 0.05, lambda: None)
        assert ended == [] and destroyed == [] and "Waiting for fake, to destroy what it is making" in self.said
        gate.set()
        await self.assertFailure(task, CancelledError)
        assert destroyed == ["n-1"] and self.fleet.names() == []

    async def test_one_that_is_there_is_taken_or_nothing_is_noted(self):
        self.patch(creation.entry, "host_keys", lambda *args: _value([HOST_KEY]))
        machine = Machine("web1", "127.0.0.1", 2222, "root")
        assert await self.creation.take(machine, 1.0) == machine == self.fleet.get("web1")
        self.fleet.remove("web1")
        self.lets_in(False)
        await self.assertFailure(Deferred.fromCoroutine(self.creation.take(machine, 0.2)), Refused)
        assert self.fleet.names() == [] and self.fleet.pinned("web1") == []

    async def test_what_one_that_is_there_lacks_is_said_at_once_and_once(self):
        self.patch(creation.entry, "host_keys", lambda *args: _value([HOST_KEY]))
        self.lets_in(False)
        task = Deferred.fromCoroutine(self.creation.take(Machine("web1", "127.0.0.1", 2222, "root"), 600.0))
        while sum("not yet: Permission denied" in line for line in self.shown) < 3:
            await deferLater(reactor, 0.01, lambda: None)
        needed = "web1: it needs this line in /root/.ssh/authorized_keys: ssh-ed25519 AAAA gitdeploy setup"
        assert self.said.count(needed) == 1
        self.lets_in(True)
        assert (await task).name == "web1" and self.said.count(needed) == 1

    async def test_what_a_machine_of_a_provider_lacks_for_a_moment_is_not_said(self):
        self.lets_in(False)
        task = Deferred.fromCoroutine(self.creation.create(FakeCloud("running"), "web1", WANTED))
        while not any("not yet: Permission denied" in line for line in self.shown):
            await deferLater(reactor, 0.01, lambda: None)
        self.lets_in(True)
        assert (await task).name == "web1" and not any("authorized_keys" in line for line in self.said)

    async def test_one_that_is_a_node_already_is_not_taken_twice(self):
        self.patch(creation.entry, "host_keys", lambda *args: _value([HOST_KEY]))
        await self.creation.take(Machine("web1", "127.0.0.1", 2222, "root"), 1.0)
        for other, what in (
            (Machine("web2", "127.0.0.1", 2222, "admin"), "is at that address"),
            (Machine("web2", "localhost", 2222, "root"), "has the host key of that machine"),
        ):
            error = await self.assertFailure(Deferred.fromCoroutine(self.creation.take(other, 1.0)), Refused)
            assert str(error).startswith(f"the node web1 {what} already; to have it under another name, first:")
            assert self.fleet.names() == ["web1"] and self.fleet.pinned("web1") == [HOST_KEY]
            assert self.fleet.pinned("web2") == []


async def _value(value):
    return value
