"""The commands about machines, as far as they need none: names, hosts, rows, refusals."""

import os
import subprocess
import sys

import pytest

from gitdeploy.config import Config, Environment
from gitdeploy.errors import BadName
from gitdeploy.local import create_node, destroy_node, list_nodes
from gitdeploy.local.terminal import Terminal
from gitdeploy.nodes.cloud import Found
from gitdeploy.nodes.fleet import Fleet, Machine


def gitdeploy(home, *args, status):
    done = subprocess.run(
        [sys.executable, "-m", "gitdeploy", "--home", str(home), *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["keys:list"], 0, "Nobody may push yet to the server of {home}; write: gitdeploy --home {home} keys:add NAME"),
        (["keys:remove", "alice"], 3, "there is no user 'alice'"),
        (["apps"], 0, "There are no apps yet"),
        (["releases", "shop"], 3, "there is no app 'shop'"),
        (["deploys", "shop"], 3, "there is no app 'shop'"),
        (["config", "shop"], 3, "there is no app shop yet"),
        (["help"], 0, "Push to deploy"),
        (["ps", "shop"], 1, "no server runs on {home}"),
        (["list-nodes"], 0, ""),
        (["setup-node", "web1"], 3, "there is no node 'web1'"),
        (["destroy-node", "web1"], 3, "web1"),
        (["start-node", "web1"], 3, "there is no node 'web1'"),
        (["stop-node", "web1"], 3, "there is no node 'web1'"),
    ],
)
def test_what_only_looks_makes_no_home(tmp_path, args, status, says):
    home = tmp_path / "typo"
    assert says.format(home=home) in gitdeploy(home, *args, status=status)
    assert not home.exists()


def test_a_key_makes_a_home_and_says_so(tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    home = tmp_path / "new"
    argv = [sys.executable, "-m", "gitdeploy", "--home", home, "keys:add", "alice"]
    for said in (f"{home} is new, the home of a server that is started by: gitdeploy server --home {home}\n", ""):
        done = subprocess.run(
            argv, input=key.with_suffix(".pub").read_text(), capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, said)
    assert home.stat().st_mode & 0o777 == 0o700 and (home / "gitdeploy.yaml").exists()
    assert "alice" in gitdeploy(home, "keys:list", status=0)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("web1.example.com", ("web1.example.com", 22)), ("192.0.2.7:2222", ("192.0.2.7", 2222)),
        ("[fd00::1]:2222", ("fd00::1", 2222)), ("[fd00::1]", ("fd00::1", 22)), ("fd00::1", ("fd00::1", 22)),
    ],
)  # fmt: skip
def test_where_a_machine_is(text, where):
    assert create_node.parsed(text) == where


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "a b", "host:port", "host:70000", "host:0", "[x]:22", "a:1:2", "host:22:"]
)
def test_what_is_no_host(text):
    with pytest.raises(BadName):
        create_node.parsed(text)


MACHINES = [
    Machine("lb1", "192.0.2.9", 2222, roles=("balancer",)),
    Machine("web1", "10.77.0.2", provider="local", id="web1", setup="4a56081f3ca0", drained=True),
    Machine("web2", "10.77.0.3", provider="local", id="web2"),
    Machine("web3", "198.51.100.3", provider="amazon", id="i-3"),
]
ANSWERS = {"local": [Found("web1", "web1", "running", ("10.77.0.2",)), Found("x", "web9", "stopped")], "amazon": None}


def test_machines_and_what_their_providers_say():
    rows = list_nodes.rows(MACHINES, ANSWERS)
    assert [(row.name, row.state, row.recorded) for row in rows] == [
        ("lb1", "-", True), ("web1", "running", True), ("web2", "gone", True), ("web3", "not known", True),
        ("web9", "stopped", False),
    ]  # fmt: skip
    assert [list_nodes.cells(row) for row in rows] == [
        ("lb1", "-", "192.0.2.9:2222", "-", "balancer", "no"),
        ("web1", "local", "10.77.0.2", "running, drained", "apps", "4a56081f3ca0"),
        ("web2", "local", "10.77.0.3", "gone", "apps", "no"),
        ("web3", "amazon", "198.51.100.3", "not known", "apps", "no"),
        ("web9", "local", "-", "stopped", "-", "not ours"),
    ]
    assert list_nodes.destroying(rows[-1]) == "gitdeploy destroy-node x --provider local"


def test_machines_that_are_not_marked_are_nobodys_business():
    assert list_nodes.rows([], {"local": [Found("x", None, "running")]}) == []


def test_who_uses_a_node():
    config = Config(
        {
            "production": Environment("production", ("web1",), balancer="lb1", services="db1"),
            "staging": Environment("staging", ("web1",)),
        }
    )
    assert destroy_node.using(config, "web1") == ["production", "staging"]
    assert destroy_node.using(config, "lb1") == destroy_node.using(config, "db1") == ["production"]
    assert destroy_node.using(config, "web2") == []


def test_what_is_refused_before_anything_is_asked(tmp_path):
    assert "embedded is what runs applications" in gitdeploy(tmp_path, "create-node", "embedded", status=2)
    assert "cannot be a node's name" in gitdeploy(tmp_path, "create-node", "Web_1", status=2)
    assert "cannot be a user's name" in gitdeploy(tmp_path, "create-node", "web1", "--login=-x", status=2)
    assert "no provider makes it" in gitdeploy(tmp_path, "create-node", "web1", "--from", "h", "--size", "s", status=2)
    assert "there is no provider 'locla'; did you mean local?" in gitdeploy(
        tmp_path, "create-node", "web1", "--provider", "locla", status=3
    )
    assert "there is no node 'web1'; make it" in gitdeploy(tmp_path, "destroy-node", "web1", status=3)
    assert "There are no nodes but the embedded one" in gitdeploy(tmp_path, "list-nodes", status=0)
    assert "did you mean create-node?" in gitdeploy(tmp_path, "crate-node", "web1", status=3)


def test_a_host_that_is_not_there_is_not_taken(tmp_path):
    said = gitdeploy(tmp_path, "create-node", "web1", "--from", "127.0.0.1:1", "--wait", "0", status=1)
    assert "no sshd answers at 127.0.0.1 port 1 (Connection refused)" in said
    assert not list((tmp_path / "nodes").glob("*.json"))


def test_a_machine_that_no_provider_made_is_started_and_stopped_where_it_is(tmp_path):
    Fleet(tmp_path / "nodes").save(Machine("web1", "192.0.2.7"))
    for command in ("start-node", "stop-node"):
        said = gitdeploy(tmp_path, command, "web1", status=1)
        assert "no provider of ours made web1 (create-node --from); do it where the machine at 192.0.2.7 is" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_leaves_in_somebody_elses_home_is_theirs(tmp_path):
    os.chown(tmp_path, 65534, 65534)
    gitdeploy(tmp_path, "create-node", "web1", "--from", "127.0.0.1:1", "--wait", "0", status=1)
    left = [tmp_path / "ssh", tmp_path / "ssh" / "server_ed25519", tmp_path / "ssh" / "setup_ed25519.pub"]
    assert [path.stat().st_uid for path in left] == [65534] * 3


class Stream:
    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return self.terminal


def test_waiting_is_shown_in_place_on_a_terminal():
    seconds = [0.0]
    out, err = Stream(True), Stream(True)
    terminal = Terminal(out, err, lambda: seconds[0])
    terminal.show("pending")
    seconds[0] = 3.0
    terminal.show("pending")
    terminal.say("done")
    assert err.text == "\r\x1b[Kpending (0 s)\r\x1b[Kpending (3 s)\r\x1b[K" and out.text == "done\n"


def test_waiting_is_a_line_now_and_then_elsewhere():
    seconds = [0.0]
    out, err = Stream(False), Stream(False)
    terminal = Terminal(out, err, lambda: seconds[0])
    terminal.glance("asking")
    for moment in range(12):
        seconds[0] = float(moment)
        terminal.show("pending" if moment < 11 else "running")
    terminal.say("done")
    assert err.text == "pending\npending (5 s)\npending (10 s)\nrunning\n" and out.text == "done\n"
