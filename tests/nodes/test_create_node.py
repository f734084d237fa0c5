"""create-node, list-nodes and destroy-node on real machines: made, listed again, interrupted, gone without a trace."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from .machines import Machines, eventually, run

NAMED = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def machines():
    """A home of its own: these tests look whether all is gone."""
    made = Machines()
    try:
        yield made
    finally:
        made.close()


def rows(machines):
    return {row["name"]: row for row in json.loads(machines.gitdeploy("list-nodes", "--json"))}


def traces(machines):
    """What there is of nodes on this machine."""
    mark = str(machines.directory).encode()
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            processes += [path] if b"systemd-nspawn" in (line := path.read_bytes()) and mark in line else []
        except OSError:
            continue
    return {
        "processes": processes,
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if str(machines.directory) in line],
        "directories": sorted(path.name for path in (machines.directory / "nodes").glob("*")),
        "devices": [line for line in run("ip", "-brief", "link").splitlines() if line.startswith(machines.bridge)],
        "spaces": [line for line in run("ip", "netns").splitlines() if line.startswith(machines.bridge)],
        "tables": [line for line in run("nft", "list", "tables").splitlines() if machines.bridge in line],
        "records": sorted(path.name for path in (machines.home / "nodes").glob("*.json")),
    }


def nothing(machines):
    return {name: [] for name in traces(machines)}


def creating(machines, name, *args):
    return subprocess.Popen(
        [sys.executable, "-m", "gitdeploy", "--home", machines.home, "create-node", name, *args], env=NAMED,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def until(process, text):
    """Read what it says until it says `text`; returns all of it."""
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it ended without {text!r}:\n{said}")


def test_two_runs_have_addresses_of_their_own_whatever_their_numbers(tmp_path):
    one = Machines(tmp_path)
    one.top.rename(tmp_path / "1-other")  # as if it were another process's, whose number leads to the same addresses
    other = Machines(tmp_path)
    assert one.network != other.network
    other.close()


def test_a_machine_is_created_and_lets_us_in_and_is_gone_after_destroy(machines):
    said = machines.gitdeploy("create-node", "web1")
    node = machines.fleet.get("web1")
    assert f"web1: running, {node.address}" in said and "sshd answers" in said and "host key SHA256:" in said
    assert said.endswith(f"web1 is there, at {node.address}; next: gitdeploy setup-node web1\n")
    assert (node.provider, node.id, node.login, node.port, node.roles, node.setup) == (
        "local",
        "web1",
        "root",
        22,
        ("apps",),
        None,
    )
    assert rows(machines)["web1"]["state"] == "running"
    table = machines.gitdeploy("list-nodes").splitlines()
    assert table[0].split() == ["NAME", "PROVIDER", "ADDRESS", "STATE", "ROLES", "SET", "UP"]
    assert table[1].split() == ["web1", "local", node.address, "running", "apps", "no"]
    assert "there is a node web1 already" in machines.gitdeploy("create-node", "web1", check=False)
    assert "web1 is destroyed" in machines.gitdeploy("destroy-node", "web1")
    assert machines.fleet.names() == [] and machines.fleet.pinned("web1") == []
    assert traces(machines) == nothing(machines)


def test_it_is_debian_as_a_provider_gives_it_and_reaches_packages(machines, bare_node):
    assert bare_node.ssh("hostname").strip() == bare_node.name
    assert "VERSION_CODENAME=bookworm" in bare_node.ssh("cat", "/etc/os-release")
    assert bare_node.ssh("systemctl", "is-system-running", check=False).strip() == "running"
    assert "nginx" not in bare_node.ssh("dpkg-query", "-W")
    assert "Candidate: 1." in bare_node.ssh(
        "sh", "-c", "apt-get -q update >&2 && apt-cache policy nginx-light", limit=120
    )
    [key] = machines.fleet.pinned(bare_node.name)
    assert bare_node.ssh("cut", "-d ", "-f1,2", "/etc/ssh/ssh_host_ed25519_key.pub").strip() == key


def test_two_machines_have_nothing_in_common_and_reach_each_other(machines, bare_node):
    other = machines.create()
    what = ("cat", "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/hostname")
    assert not set(bare_node.ssh(*what).split()) & set(other.ssh(*what).split()) - {"ssh-ed25519"}
    bare_node.ssh("ping", "-c1", "-W5", other.address)
    other.destroy()
    assert other.name not in rows(machines)


@pytest.fixture(scope="module")
def bare_node(machines):
    node = machines.create()
    node.up()
    return node


def test_it_survives_a_reboot_a_stop_and_a_start(machines, bare_node):
    bare_node.ssh("touch", "/root/kept")
    before = bare_node.ssh("cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").split()
    bare_node.reboot()
    eventually(
        "another pid 1",
        lambda: bare_node.ssh("cat", "/proc/1/stat", check=False, limit=30).split()[21:22] not in ([], before[22:23]),
    )
    bare_node.up()
    bare_node.ssh("systemctl", "reboot", check=False)  # from inside
    time.sleep(1)
    bare_node.up()
    bare_node.stop()
    assert rows(machines)[bare_node.name]["state"] == "stopped"
    bare_node.start()
    bare_node.up()
    assert bare_node.ssh("ls", "/root/kept").strip() == "/root/kept"
    bare_node.power_off()
    assert bare_node.state == "stopped"
    bare_node.start()
    bare_node.up()
    assert rows(machines)[bare_node.name]["state"] == "running"


def test_one_that_is_stopped_is_started_by_a_command(machines, bare_node):
    name = bare_node.name
    bare_node.power_off()
    said = machines.gitdeploy("start-node", name)
    assert f"{name}: {bare_node.address} port 22, sshd answers" in said
    assert said.endswith(f"{name} runs, at {bare_node.address}\n")
    assert said.endswith(machines.gitdeploy("start-node", name).splitlines()[-1] + "\n")
    assert f"{name} is stopped; start it again: gitdeploy start-node {name}" in machines.gitdeploy("stop-node", name)
    assert rows(machines)[name]["state"] == "stopped"
    machines.gitdeploy("start-node", name)
    bare_node.up()


def test_a_snapshot_of_a_node_is_an_image(machines, bare_node):
    bare_node.ssh("touch", "/srv/of-the-first")
    image = machines.driver.create_image(bare_node.of_driver(), f"t{os.getpid()}")
    try:
        assert image.id in machines.gitdeploy("list-images")
        clone = machines.create(image=image.id)
        clone.up()
        bare_node.up()
        clone.ssh("test", "-e", "/srv/of-the-first")
        what = ("cat", "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub")
        assert not set(bare_node.ssh(*what).split()) & set(clone.ssh(*what).split()) - {"ssh-ed25519"}
        with pytest.raises(Exception, match="stands on"):
            machines.driver.delete_image(image)
        clone.destroy()
    finally:
        for node in machines.driver.list_nodes():
            if node.extra["image"] == image.id:
                machines.driver.destroy_node(node)
        machines.driver.delete_image(image)
    assert image.id not in machines.gitdeploy("list-images")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_creation_leaves_nothing(machines, number, request):
    before = traces(machines)
    process = creating(machines, "broken")
    with process:
        until(process, "broken: running")
        os.killpg(process.pid, number)
        said = process.stdout.read()
        assert process.wait(60) == 130, said
    assert "Destroying broken again" in said and "interrupted" in said
    assert traces(machines) == before and "broken" not in rows(machines)


def test_a_creation_that_takes_too_long_is_undone(machines, bare_node):
    before = traces(machines)
    said = machines.gitdeploy("create-node", "late", "--wait", "0.1", check=False)
    assert "Destroying late again" in said and "gitdeploy: " in said.splitlines()[-1]
    assert traces(machines) == before


def test_what_a_killed_creation_left_is_listed_and_can_be_destroyed(machines):
    before = traces(machines)
    process = creating(machines, "lost")
    with process:
        until(process, "lost: running")
        os.killpg(process.pid, signal.SIGKILL)
    row = rows(machines)["lost"]
    assert (row["recorded"], row["provider"], row["state"]) == (False, "local", "running")
    assert (
        "lost (lost) is no node of this server; if nobody needs it: gitdeploy destroy-node lost --provider local"
        in (machines.gitdeploy("list-nodes"))
    )
    machines.gitdeploy("destroy-node", "lost", "--provider", "local")
    assert traces(machines) == before


@pytest.mark.parametrize("when", ["furnish", "boot", "attach", "mount"])
def test_one_that_was_killed_while_it_was_made_is_listed_and_can_be_destroyed(machines, bare_node, when):
    before = traces(machines)
    script = (
        "import os, sys\n"
        "from gitdeploy.nodes import container, network\n"
        f"for one in (container.Container, network.Wiring):\n"
        f"    if hasattr(one, {when!r}):\n"
        f"        setattr(one, {when!r}, lambda *_: os._exit(9))\n"
        "from gitdeploy.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--home", machines.home, "create-node", "half"], timeout=120, env=NAMED
    )
    assert done.returncode == 9
    assert rows(machines)["half"]["state"] == "pending"
    assert "is no machine" not in machines.gitdeploy("destroy-node", "half", "--provider", "local")
    assert traces(machines) == before


def test_a_node_without_its_record_file_can_be_destroyed(machines, bare_node):
    before = traces(machines)
    machines.create("odd")
    (machines.directory / "nodes" / "odd" / "node.json").write_text("{")
    assert rows(machines)["odd"]["state"] == "error"
    assert "destroy odd first" in machines.gitdeploy("create-node", "even", check=False)
    machines.gitdeploy("destroy-node", "odd")
    assert traces(machines) == before


@contextmanager
def unknown(machines, node):
    """While it is no node of the server's, as a machine that somebody rented."""
    record, keys = node.record, machines.fleet.pinned(node.name)
    machines.fleet.remove(node.name)
    try:
        yield
    finally:
        machines.fleet.save(record)
        machines.fleet.pin(node.name, keys)


def test_a_bare_machine_that_is_there_is_taken_once(machines, bare_node):
    with unknown(machines, bare_node):
        said = machines.gitdeploy("create-node", "taken", "--from", bare_node.address)
        assert f"taken is there, at {bare_node.address}" in said
        row = rows(machines)["taken"]
        assert (row["provider"], row["id"], row["state"]) == (None, None, "-")
        again = machines.gitdeploy("create-node", "again", "--from", bare_node.address, check=False)
        assert "the node taken is at that address already; to have it under another name, first: gitdeploy" in again
        assert "goes on" in machines.gitdeploy("destroy-node", "taken")
    bare_node.ssh("true")


def test_one_that_does_not_let_us_in_is_not_taken_and_it_says_what_it_lacks(machines, bare_node):
    bare_node.ssh("useradd", "--create-home", "admin")
    with unknown(machines, bare_node):
        said = machines.gitdeploy(
            "create-node", "taken", "--from", bare_node.address, "--login", "admin", "--wait", "2", check=False
        )
    public = machines.logins.public(machines.logins.setup)
    assert (
        f"it needs this line in /home/admin/.ssh/authorized_keys, and sudo without a password for it: {public}" in said
    )
    assert said.index("taken: it needs this line") < said.index("not yet: ") and said.count("taken: it needs") == 1
    assert "Permission denied" in said and "taken" not in rows(machines) and machines.fleet.pinned("taken") == []


def test_one_of_amazon_that_lets_us_in_is_a_node(machines, bare_node):
    """What moto makes has the address of a real machine."""
    pytest.importorskip("moto")
    script = Path(__file__).parent.parent / "gitdeploy" / "nodes" / "serve_moto.py"
    settings = machines.home / "gitdeploy.yaml"
    before = settings.read_text()
    argv = [sys.executable, str(script), bare_node.address]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as amazon:
        try:
            port = int(amazon.stdout.readline())
            block = (
                f'driver: ec2, key: AK, secret: SK, region: eu-central-1, host: 127.0.0.1, port: {port}, secure: "no"'
            )
            settings.write_text(f"{before}  amazon: {{{block}}}\n")
            said = machines.gitdeploy("create-node", "cloudy", "--provider", "amazon", "--role", "balancer")
            assert "cloudy: t3a.nano, ami-00000012, at amazon" in said and "cloudy: pending" in said
            assert f"cloudy is there, at {bare_node.address}; next: gitdeploy setup-node cloudy" in said
            row = rows(machines)["cloudy"]
            assert (row["state"], row["roles"], row["id"][:2]) == ("running", ["balancer"], "i-")
            assert "cloudy is destroyed" in machines.gitdeploy("destroy-node", "cloudy")
            assert "cloudy" not in rows(machines)
        finally:
            settings.write_text(before)
            amazon.kill()


def test_debian_13_is_an_image_too(machines):
    node = machines.create(image="debian-13")
    assert "VERSION_CODENAME=trixie" in node.ssh("cat", "/etc/os-release")
    assert "trixie-security" in node.ssh("cat", "/etc/apt/sources.list")
    node.destroy()


def test_one_that_is_gone_at_its_provider_is_forgotten(machines):
    node = machines.create("gone")
    machines.driver.destroy_node(node.of_driver())
    assert rows(machines)["gone"]["state"] == "gone"
    assert "was gone at local already, and is forgotten" in machines.gitdeploy("destroy-node", "gone")


def test_a_node_of_an_environment_is_not_destroyed_unasked(machines, bare_node):
    settings = machines.home / "gitdeploy.yaml"
    before = settings.read_text()
    settings.write_text(f"{before}environments:\n  production:\n    nodes: {bare_node.name}\n")
    try:
        said = machines.gitdeploy("destroy-node", bare_node.name, check=False)
        assert (
            f"{bare_node.name} is a node of production in gitdeploy.yaml; take it out there first, or: --force" in said
        )
    finally:
        settings.write_text(before)
