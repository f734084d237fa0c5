"""What is kept of machines."""

from dataclasses import replace

import pytest

from gitdeploy.errors import NotFound, Refused
from gitdeploy.nodes.fleet import Fleet, Logins, Machine

WEB1 = Machine("web1", "192.0.2.1", port=2222, login="admin", provider="local", id="i-1", roles=("apps",), setup="abc")


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path / "nodes")


def test_a_machine_is_kept_as_it_is(fleet):
    assert fleet.names() == [] and fleet.all() == []
    fleet.save(WEB1)
    assert fleet.get("web1") == WEB1 and fleet.names() == ["web1"]
    assert fleet.change("web1", drained=True) == replace(WEB1, drained=True) == fleet.get("web1")
    assert [path.name for path in fleet.path.iterdir()] == ["web1.json"]
    assert fleet.path.stat().st_mode & 0o777 == 0o700


def test_what_a_later_version_keeps_is_passed_over_and_what_is_not_there_has_its_default(fleet):
    fleet.save(WEB1)
    (fleet.path / "web1.json").write_text('{"name": "web1", "address": "192.0.2.1", "colour": "red"}')
    assert fleet.get("web1") == Machine("web1", "192.0.2.1")


def test_one_that_is_not_there_is_said_with_the_nearest_or_how_to_make_it(fleet):
    with pytest.raises(NotFound, match="there is no node 'web1'; make it: gitdeploy create-node web1"):
        fleet.get("web1")
    fleet.save(WEB1)
    with pytest.raises(NotFound, match=r"there is no node 'web2'; did you mean web1\?"):
        fleet.get("web2")
    with pytest.raises(NotFound):
        fleet.change("web2", drained=True)


def test_what_gitdeploy_yaml_takes_a_machine_for_and_it_is_not(fleet):
    fleet.save(WEB1)
    fleet.save(Machine("lb1", "192.0.2.8", roles=("balancer",)))
    right = [("nodes", "web1"), ("services", "web1"), ("balancer", "lb1")]
    assert fleet.misplaced("production", [*right, ("nodes", "web9")]) == []
    wrong = [("nodes", "lb1"), ("services", "lb1"), ("balancer", "web1"), ("balancer", "embedded")]
    assert fleet.misplaced("production", wrong) == [
        "lb1 runs no apps, but production lists it under `nodes:`; correct gitdeploy.yaml",
        "lb1 runs no apps, but production lists it under `services:`; correct gitdeploy.yaml",
        "web1 is no balancer, but production lists it under `balancer:`; correct gitdeploy.yaml",
        "embedded, the server's own machine, is no balancer and has none before it, but production lists it under `balancer:`;"
        " correct gitdeploy.yaml",
    ]
    with pytest.raises(
        NotFound, match="names web9 for production, and it is not there; run: gitdeploy create-node web9"
    ):
        fleet.named("production", "nodes", "web9")


def test_half_a_file_is_refused(fleet):
    fleet.save(WEB1)
    (fleet.path / "web1.json").write_text('{"name": "we')
    with pytest.raises(Refused, match=r"web1\.json cannot be read: .*; make the node again: create-node"):
        fleet.get("web1")


def test_host_keys_are_pinned_by_name_and_forgotten_with_the_machine(fleet):
    assert fleet.pinned("web1") == []
    fleet.pin("web1", ["ssh-ed25519 AAAA", "ssh-rsa BBBB"])
    fleet.pin("web10", ["ssh-ed25519 CCCC"])
    assert fleet.known_hosts.read_text() == "web1 ssh-ed25519 AAAA\nweb1 ssh-rsa BBBB\nweb10 ssh-ed25519 CCCC\n"
    fleet.pin("web1", ["ssh-ed25519 DDDD"])
    assert fleet.pinned("web1") == ["ssh-ed25519 DDDD"] and fleet.pinned("web10") == ["ssh-ed25519 CCCC"]
    fleet.save(WEB1)
    fleet.remove("web1")
    assert fleet.pinned("web1") == [] and fleet.names() == [] and fleet.pinned("web10") == ["ssh-ed25519 CCCC"]


def test_the_two_keys_have_names(tmp_path):
    logins = Logins(tmp_path)
    (tmp_path / "server_ed25519.pub").write_text("ssh-ed25519 AAAA gitdeploy server\n")
    assert logins.public(logins.server) == "ssh-ed25519 AAAA gitdeploy server"
    assert logins.setup == tmp_path / "setup_ed25519"
