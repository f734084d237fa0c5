"""Servers that each app has for itself."""

import pytest

from buildless import ports
from buildless.errors import NodeError
from buildless.node import instance


def test_no_port_of_a_server_is_one_that_a_users_number_says():
    taken = {port for uid in ports.USERS for port in ports.ports_of(uid)}
    assert taken.isdisjoint(instance.PORTS)


class Redis:
    """A Redis of an app, on a node whose systemd says yes to everything."""

    def __init__(self, home, programs):
        self.home, self.programs = home, programs
        self.path = home.state / "redis.conf"
        self.values = {"configuration": self.path, "data": home.state}

    def run(self, text):
        """Have it run with such a file; returns what systemctl was asked for."""
        self.programs.forget()
        instance.run(self.home, "redis", {self.path: text}, self.values)
        return [call[1] for call in self.programs.calls]

    def interrupts(self, text, **values):
        return instance.interrupts(self.home, "redis", {self.path: text}, {**self.values, **values})

    def is_finished(self):
        return instance.is_finished(self.home, "redis")


@pytest.fixture
def redis(layout, programs):
    return Redis(layout.app("shop"), programs)


def test_it_is_started_anew_for_what_it_reads_when_it_starts(redis, programs):
    assert redis.run("memory 1") == ["daemon-reload", "enable", "restart"]
    assert redis.run("memory 1") == ["is-active"]
    assert redis.run("memory 2") == ["daemon-reload", "enable", "restart"]
    programs.answer("systemctl", "is-active", code=3)
    assert redis.run("memory 2") == ["is-active", "enable", "restart"]


def test_a_start_that_failed_is_not_forgotten(redis, programs):
    redis.run("memory 1")
    programs.answer("systemctl", "restart", code=1)
    with pytest.raises(NodeError):
        redis.run("memory 2")
    assert not redis.is_finished()
    programs.answer("systemctl", "restart")
    assert redis.run("memory 2") == ["daemon-reload", "enable", "restart"]
    assert redis.is_finished()
    assert redis.run("memory 2") == ["is-active"]


def test_whatever_would_start_anew_what_runs_is_an_interruption(redis, programs):
    redis.run("memory 1")
    assert not redis.interrupts("memory 1")
    assert redis.interrupts("memory 2")
    assert redis.interrupts("memory 1", data="/elsewhere"), "its unit is another one: so is that of another gitdeploy"
    programs.answer("systemctl", "is-active", code=3)
    assert not redis.interrupts("memory 2")
