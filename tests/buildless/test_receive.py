"""A message on its way into a command: a real process, which gets it by a socket as systemd would give it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from buildless.mail import LATER, UNKNOWN
from buildless.node.layout import Layout
from buildless.node.postman import AGAIN, hand_over

ROOT = Path(__file__).parents[2]
COMMAND = """\
import os, signal, sys, time
text = sys.stdin.buffer.read()
print(len(text), os.environ["SENDER"], os.environ["RECIPIENT"], os.environ["FRUIT"])
what = text.decode("latin-1").split()[0]
if what == "sleep":
    time.sleep(600)
if what == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "raise":
    raise ValueError("no \\x1bticket")
sys.exit(int(what))
"""
YAML = """\
platform: static
mail:
  "*@example.com": {run: bin/receive.py, timeout: 2s}
  a@function.com: shop:receive
  a@nothing.com: bin/nothing.py
"""


@pytest.fixture
def app(tmp_path):
    """An app on a node, of which v1 is live."""
    home = tmp_path / "srv/apps/shop"
    tree = home / "versions/c"
    (tree / "bin").mkdir(parents=True)
    (tree / "app.yaml").write_text(YAML)
    (tree / "bin/receive.py").write_text(COMMAND)
    (tree / "shop.py").write_text("import sys\ndef receive():\n    return int(sys.stdin.readline())\n")
    (home / "releases/v1").mkdir(parents=True)
    (home / "releases/v1/tree").symlink_to("../../versions/c")
    (home / "releases/v1/settings").write_text(json.dumps({"environ": {"FRUIT": "plum", "PATH": "/usr/bin:/bin"}}))
    (home / "live").symlink_to("releases/v1")
    return home


def receive(home, message, recipient="tickets@example.com"):
    """(status, text, what is logged) of a message."""
    ours, theirs = socket.socketpair()
    argv = (sys.executable, "-m", "buildless.receive", str(home))
    with ours, subprocess.Popen(argv, cwd=ROOT, stdin=theirs, stderr=subprocess.PIPE) as process:
        theirs.close()
        ours.sendall(json.dumps({"sender": "alice@example.org", "recipient": recipient}).encode() + b"\n" + message)
        ours.shutdown(socket.SHUT_WR)
        answer = json.loads(ours.makefile("rb").read())
        return answer["status"], answer["text"], process.stderr.read().decode()


def test_the_command_has_all_of_the_message(app):
    message = b"0\n" + bytes(range(256)) * 20_000
    said = f"{len(message)} alice@example.org tickets@example.com plum"
    assert receive(app, message) == (0, said, f"{said}\n")
    assert receive(app, b"0\n", "a@function.com")[0] == 0
    assert receive(app, b"7\n", "a@function.com")[0] == 7


@pytest.mark.parametrize(
    ("message", "status", "text"),
    [
        (b"75", 75, "2 alice@example.org tickets@example.com plum"),
        (b"1", 1, "1 alice@example.org tickets@example.com plum"),
        (b"raise", 1, "ValueError: no ticket"),
        (b"kill", LATER, "it was ended by signal 9"),
        (b"sleep", LATER, "it was not done within 2 s"),
    ],
)
def test_how_it_ends_says_what_becomes_of_it(app, message, status, text):
    *found, logged = receive(app, message)
    assert found == [status, text]
    assert logged.endswith(f"the message from alice@example.org to tickets@example.com ended with {status}: {text}\n")


def test_one_to_nobody_is_refused_and_one_to_a_command_that_is_none_waits(app):
    assert receive(app, b"0", "a@example.net")[:2] == (UNKNOWN, "there is no such address")
    status, text, _ = receive(app, b"0", "a@nothing.com")
    assert status == LATER and "there is no such file in the tree" in text


@pytest.mark.parametrize("name", ["held", "maintenance"])
def test_an_app_that_is_out_of_service_loses_nothing(app, name):
    (app / "releases" / name).touch()
    assert receive(app, b"0")[:2] == (LATER, "the application is out of service")


def test_one_that_is_not_live_loses_nothing(app):
    (app / "live").unlink()
    assert receive(app, b"0")[0] == LATER


def test_a_message_stays_in_the_queue_where_nobody_takes_it(tmp_path):
    home = Layout(tmp_path).app("shop")
    with open("/dev/null", "rb") as message:
        assert hand_over(home, "alice@example.org", "tickets@example.com", message) == (LATER, AGAIN)
        home.mail_socket.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(home.mail_socket))
            listener.listen()
            ended = subprocess.Popen(
                [sys.executable, "-c", "import socket, sys; socket.socket(fileno=0).accept()[0].recv(1)"],
                stdin=listener,
            )
            assert hand_over(home, "alice@example.org", "tickets@example.com", message) == (LATER, AGAIN)
            assert ended.wait(60) == 0
