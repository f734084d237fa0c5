"""Verbs that meet each other, or lose whoever asked for them."""

import os
import subprocess
import time

import pytest

from buildless.node.turn import began, latest

from .test_verbs import A, Node

SLOW = "#!/bin/sh\ntouch %s; exec sleep 60\n"


@pytest.fixture
def slow(tmp_path):
    """An agent that is at work on the app shop for a minute, as it waits for a Python."""
    node = Node(tmp_path / "root")
    node.version(A, {"one": "1"})
    python, begun = tmp_path / "python", tmp_path / "begun"
    python.write_text(SLOW % begun)
    python.chmod(0o755)
    request = '{"id": 9, "verb": "wheels", "app": "shop", "version": "%s", "pip": ["x"], "python": "%s"}\n'
    node.process.stdin.write(request % (A, python))
    node.process.stdin.flush()
    until(begun.exists)
    yield node
    node.process.kill()
    node.process.wait(10)
    node.process.stdout.close()


@pytest.fixture
def other(tmp_path):
    node = Node(tmp_path / "root")
    yield node
    node.process.stdin.close()
    assert node.process.wait(10) == 0
    node.process.stdout.close()


def end(node):
    node.process.stdin.close()
    node.process.wait(10)
    node.process.stdout.close()


def until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def children(node):
    with open(f"/proc/{node.process.pid}/task/{node.process.pid}/children") as file:
        return file.read().split()


def test_who_asks_last_counts(slow, other):
    [child] = children(slow)
    began = time.monotonic()
    assert "ok" in other.ask("discard", release=None, version=A)
    assert time.monotonic() - began < 5
    assert slow.process.wait(10) != 0
    assert not os.path.exists(f"/proc/{child}")  # nor does what it had started go on
    slow.process.stdin.close()


def test_questions_and_other_apps_disturb_nobody(slow, other):
    assert other.ask("state")["ok"]["versions"] == [A]
    assert "ok" in other.ask("maintenance", on=True)  # somebody wants it now, whatever is being deployed
    assert "ok" in other.call("discard", app="cart", release=None, version=A)
    assert slow.process.poll() is None and children(slow)
    slow.process.stdin.close()


def test_of_connections_the_latest_counts(tmp_path):
    assert [latest(tmp_path / "connection", one) for one in (1000, 1000, 2000, 1000, 2000, 999, 3000)] == [
        True, True, True, False, True, False, True,
    ]  # fmt: skip


def test_a_process_that_no_ssh_started_has_no_connection():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        inside = began(process.pid)
        process.kill()
    assert inside in (0, began(os.getpid()))


def test_a_verb_ends_when_who_asked_is_gone(slow):
    [child] = children(slow)
    slow.process.stdin.close()
    assert slow.process.wait(10) != 0
    assert not os.path.exists(f"/proc/{child}")


def test_it_ends_so_too_while_input_waits_that_nobody_reads(slow):
    [child] = children(slow)
    slow.process.stdin.write('{"id": 10, "verb": "state", "app": "shop"}\n')
    slow.process.stdin.flush()
    slow.process.stdout.close()  # sshd closes this alone, as long as it has more input for it
    assert slow.process.wait(10) != 0
    assert not os.path.exists(f"/proc/{child}")
    slow.process.stdin.close()


def test_one_that_does_not_care_is_killed(slow, other, tmp_path):
    os.kill(slow.process.pid, 19)  # SIGSTOP
    began = time.monotonic()
    assert "ok" in other.ask("prune", keep=[])
    assert 4 < time.monotonic() - began < 15
    assert slow.process.wait(10) == -9
    slow.process.stdin.close()
