"""create-node and its kin at Amazon, for which moto stands in: the command line, libcloud's EC2 driver, HTTP."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitdeploy.nodes import handover, providers

pytest.importorskip("moto", reason="moto is not installed; bin/venv test installs it")
LIMIT = 60


@pytest.fixture(scope="module")
def port():
    """Where Amazon is."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("serve_moto.py"))], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    with process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture
def home(tmp_path, port):
    text = f'driver: ec2, key: AK, secret: SK, region: eu-central-1, host: 127.0.0.1, port: {port}, secure: "false"'
    (tmp_path / "gitdeploy.yaml").write_text(f"providers:\n  amazon: {{{text}, login: admin}}\n")
    return tmp_path


@pytest.fixture
def driver(home):
    from gitdeploy import config

    return providers.connect("amazon", config.load(home / "gitdeploy.yaml").providers["amazon"]).driver


def argv(home, *args):
    return [sys.executable, "-m", "gitdeploy", "--home", str(home), *args]


def gitdeploy(home, *args, status=0):
    done = subprocess.run(
        argv(home, *args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=LIMIT
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


def running(driver):
    return {node.name: node for node in driver.list_nodes() if node.state != "terminated"}


def test_sizes_and_images_and_which_are_taken(home):
    sizes = gitdeploy(home, "list-sizes").splitlines()
    assert sizes[0].split() == ["SIZE", "MEMORY", "DISK", "PRICE/HOUR"]
    assert sizes[-1] == "create-node takes t3a.nano if nothing else is said (--size)"
    images = gitdeploy(home, "list-images").splitlines()
    assert images[1].split() == ["ami-00000012", "debian-12-amd64-20250428-2096", "x86_64", "2025-04-28"]
    assert images[-1] == "create-node takes ami-00000012 if nothing else is said (--image)"
    assert {image["id"] for image in json.loads(gitdeploy(home, "list-images", "--json"))} >= {"ami-00000011"}


def test_a_machine_gets_our_key_and_one_that_nobody_reaches_is_destroyed_again(home, driver):
    said = gitdeploy(home, "create-node", "web1", "--wait", "3", status=1)
    assert "web1: t3a.nano, ami-00000012, at amazon" in said and "Destroying web1 again" in said
    assert "gitdeploy: no sshd answers at " in said and "does a firewall stand before it?" in said
    assert running(driver) == {} and not list((home / "nodes").glob("*.json"))
    [made] = [node for node in driver.list_nodes() if node.name == "web1"]
    key = (home / "ssh" / "setup_ed25519.pub").read_text().strip()
    assert (made.extra["key_name"], made.extra["instance_type"], made.extra["image_id"]) == (
        handover.pair_name(key), "t3a.nano", "ami-00000012",
    )  # fmt: skip
    assert made.extra["tags"]["gitdeploy"] == "web1"
    asked = {"Action": "DescribeInstanceAttribute", "InstanceId": made.id, "Attribute": "userData"}
    answer = driver.connection.request("/", params=asked).object
    [data] = [element.text for element in answer.iter() if element.tag.endswith("}value")]
    assert base64.b64decode(data).decode() == handover.user_data("admin", key)
    gitdeploy(home, "create-node", "web2", "--wait", "1", status=1)
    assert len([pair for pair in driver.list_key_pairs() if pair.name == handover.pair_name(key)]) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_creation_leaves_nothing(home, driver, number):
    process = subprocess.Popen(
        argv(home, "create-node", "web1"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )  # fmt: skip
    with process:
        assert any("no sshd yet" in line for line in process.stdout)
        os.killpg(process.pid, number)
        said = process.stdout.read()
        assert process.wait(LIMIT) == 130 and "Destroying web1 again" in said, said
    assert running(driver) == {} and not list((home / "nodes").glob("*.json"))


def test_what_a_killed_creation_left_is_listed_and_destroyed(home, driver):
    process = subprocess.Popen(
        argv(home, "create-node", "lost"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )  # fmt: skip
    with process:
        assert any("no sshd yet" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    number = running(driver)["lost"].id
    assert (
        f"lost ({number}) is no node of this server; if nobody needs it: gitdeploy destroy-node {number} --provider amazon"
        in (gitdeploy(home, "list-nodes"))
    )
    assert "has no machine 'other' that gitdeploy made" in gitdeploy(
        home, "destroy-node", "other", "--provider", "amazon", status=3
    )
    assert f"lost ({number}) is destroyed" in gitdeploy(home, "destroy-node", number, "--provider", "amazon")
    assert running(driver) == {}


def test_machines_that_are_not_ours_are_neither_shown_nor_destroyed(home, driver):
    other = driver.create_node("theirs", driver.list_sizes()[0], driver.list_images()[0])
    try:
        assert "theirs" not in gitdeploy(home, "list-nodes")
        gitdeploy(home, "destroy-node", other.id, "--provider", "amazon", status=3)
        assert "theirs" in running(driver)
    finally:
        driver.destroy_node(other)


def test_a_recorded_machine_is_listed_with_its_state_and_destroyed(home, driver):
    made = driver.create_node(
        "web1", driver.list_sizes()[0], driver.list_images()[0], ex_metadata={"gitdeploy": "web1"}
    )
    (home / "nodes").mkdir()
    record = {"name": "web1", "address": "192.0.2.1", "login": "admin", "provider": "amazon", "id": made.id}
    (home / "nodes" / "web1.json").write_text(json.dumps(record))
    [row] = json.loads(gitdeploy(home, "list-nodes", "--json"))
    assert (row["name"], row["id"], row["state"], row["recorded"]) == ("web1", made.id, "running", True)
    assert "that is the node web1; destroy it by its name" in gitdeploy(
        home, "destroy-node", made.id, "--provider", "amazon", status=1
    )
    assert "web1 is destroyed" in gitdeploy(home, "destroy-node", "web1")
    assert running(driver) == {} and not list((home / "nodes").glob("*.json"))


def test_a_machine_is_stopped_and_started_again(home, driver):
    made = driver.create_node(
        "web1", driver.list_sizes()[0], driver.list_images()[0], ex_metadata={"gitdeploy": "web1"}
    )
    (home / "nodes").mkdir()
    record = {"name": "web1", "address": "192.0.2.1", "login": "admin", "provider": "amazon", "id": made.id}
    (home / "nodes" / "web1.json").write_text(json.dumps(record))
    settings = home / "gitdeploy.yaml"
    settings.write_text(settings.read_text() + "environments: {production: {nodes: web1}}\n")
    assert "web1 is a node of production in gitdeploy.yaml" in gitdeploy(home, "stop-node", "web1", status=1)
    assert running(driver)["web1"].state == "running"
    assert "web1 is stopped; start it again: gitdeploy start-node web1" in gitdeploy(
        home, "stop-node", "web1", "--force"
    )
    assert running(driver)["web1"].state == "stopped"
    gitdeploy(home, "stop-node", "web1", "--force")
    said = gitdeploy(home, "start-node", "web1", "--wait", "3", status=1)
    assert "gitdeploy: web1: no sshd answers at " in said and running(driver)["web1"].state == "running"
    driver.destroy_node(made)
    assert "web1 is gone at amazon; forget it: gitdeploy destroy-node web1" in gitdeploy(
        home, "start-node", "web1", status=1
    )


def test_what_is_not_there_and_who_cannot_be_asked_is_told(home):
    assert "amazon has no image 'ami-404'; see: list-images --provider amazon" in gitdeploy(
        home, "create-node", "web1", "--image", "ami-404", status=3
    )
    assert "amazon has no size 't3a.nan'; did you mean t3a.nano?" in gitdeploy(
        home, "create-node", "web1", "--size", "t3a.nan", status=3
    )
    settings = home / "gitdeploy.yaml"
    settings.write_text(
        "providers:\n  amazon: {driver: ec2, key: AK, secret: SK, host: 127.0.0.1, port: 1, secure: 'no'}\n"
    )
    assert "gitdeploy: amazon: " in gitdeploy(home, "list-images", status=1)
    assert "gitdeploy: amazon: " in gitdeploy(home, "list-nodes")  # others can still be listed
