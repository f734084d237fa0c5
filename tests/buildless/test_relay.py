"""Where a process listens, and what stands between its socket and others: real processes, real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import buildless
from buildless.errors import BuildlessError
from buildless.ports import listener, take_port

TOP = Path(buildless.__file__).parent.parent


# Ports.


def test_a_port_is_somebodys_until_his_process_ends(tmp_path):
    first, file = take_port(tmp_path, 150)
    second, other = take_port(tmp_path, 150)
    assert 16500 <= first < second < 16510
    file.close()
    again, third = take_port(tmp_path, 150)
    assert again == first
    for one in (other, third):
        one.close()
    with pytest.raises(BuildlessError, match="1000 is no system user"):
        take_port(tmp_path, 1000)


def test_all_ports_are_taken(tmp_path):
    held = [take_port(tmp_path, 151)[1] for _ in range(10)]
    with pytest.raises(BuildlessError, match="all 10 ports of the app are taken; listen at \\$SOCKET"):
        take_port(tmp_path, 151)
    for file in held:
        file.close()


def test_who_listens_at_a_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        assert listener(port, os.getuid()) is None
        one.listen()
        assert listener(port, os.getuid()) == "127.0.0.1"
        assert listener(port, os.getuid() + 1) is None


# A relay as it is.

HELD = """\
import os, signal, socket, sys, time
with socket.socket(socket.AF_UNIX) as one:
    if sys.argv[1:] == ["late"]:
        time.sleep(0.5)
    one.bind(os.environ["SOCKET"])
    one.listen()
    while True:
        client, _ = one.accept()
        asked = client.recv(1000)
        if asked == b"end":
            os._exit(3)
        time.sleep(0.3 if asked == b"slow" else 0)
        client.sendall(asked.upper())
        client.close()
"""


class Relay:
    """``python -m buildless.process`` for a release made here."""

    def __init__(self, top, command, **limits):
        (top / "tree").mkdir()
        (top / "tree" / "app.yaml").write_text(f"platform: command\ncommand: {command}\n")
        (top / "tree" / "serve.py").write_text(HELD)
        environ = {"PATH": os.defpath, "TMPDIR": str(top), "APP_RELEASE": "v1"}
        (top / "settings").write_text(json.dumps({"environ": environ, "web": limits}))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(top / "s"))
        self.listener.listen()
        self.path = str(top / "s")
        reader, writer = os.pipe()
        argv = (sys.executable, "-m", "buildless.process", str(top), "web", "--fd", str(self.listener.fileno()))
        self.process = subprocess.Popen(
            [*argv, "--ready-fd", str(writer)], cwd=TOP, stderr=subprocess.PIPE, text=True,
            pass_fds=(self.listener.fileno(), writer), env={**os.environ, "PYTHONPATH": str(TOP)},
        )  # fmt: skip
        os.close(writer)
        self.ready = os.fdopen(reader)

    def ask(self, text):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(30)
        one.connect(self.path)
        one.sendall(text)
        return one

    def end(self):
        self.process.kill()
        self.process.communicate(timeout=30)
        self.listener.close()
        self.ready.close()


@pytest.fixture
def relay(tmp_path):
    made = []

    def make(command, **limits):
        made.append(Relay(tmp_path, command, **limits))
        return made[-1]

    yield make
    for one in made:
        one.end()


def answer(one):
    with one:
        return one.recv(100)


def test_requests_wait_until_the_program_listens_and_are_answered_before_it_ends(relay, tmp_path):
    made = relay("serve.py late")
    early = made.ask(b"early")
    assert made.ready.readline() == f"ready {made.process.pid}\n"
    assert answer(early) == b"EARLY"
    slow = made.ask(b"slow")
    time.sleep(0.1)
    waiting = made.ask(b"waiting")
    made.process.send_signal(signal.SIGTERM)
    assert answer(slow) == b"SLOW" and answer(waiting) == b"WAITING"
    assert made.process.wait(30) == 0
    assert list(tmp_path.glob("own-*")) == []


def test_a_program_that_ends_is_started_anew_by_whoever_started_us(relay):
    made = relay("serve.py")
    made.ready.readline()
    made.ask(b"end").close()
    assert made.process.wait(30) == 1
    assert "web ended with exit code 3" in made.process.stderr.read()


def test_a_program_that_does_not_listen_says_so(relay):
    made = relay("sh -c 'exit 7'")
    assert made.ready.readline() == "" and made.process.wait(30) == 4
    assert "web ended with exit code 7 before it listened at $SOCKET or $PORT" in made.process.stderr.read()


def test_one_that_nobody_asks_and_that_is_not_live_ends_by_itself(relay, tmp_path):
    (tmp_path / "web.sock").symlink_to("/run/apps/shop/v1.sock")
    made = relay("serve.py", linger=0.5)
    made.ready.readline()
    assert answer(made.ask(b"hello")) == b"HELLO"
    assert made.process.wait(30) == 0
