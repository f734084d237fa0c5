"""Who may log in."""

import os
import subprocess

import pytest

from gitdeploy.errors import BadName, NotFound
from gitdeploy.ssh.keys import Users


def keygen(directory, name, *options):
    path = directory / name
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-C", f"{name}@laptop", "-f", str(path), *options], check=True, timeout=60
    )
    return path


@pytest.fixture
def users(tmp_path):
    return Users(tmp_path / "keys")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    kinds = {"ed": "-t ed25519", "ec": "-t ecdsa", "rsa": "-t rsa -b 2048", "weak": "-t rsa -b 1024"}
    return {name: keygen(directory, name, *options.split()) for name, options in kinds.items()}


def public(path):
    return path.with_name(path.name + ".pub").read_text()


@pytest.mark.parametrize("name", ["ed", "ec", "rsa"])
def test_a_key_is_added_listed_and_removed(users, made, name):
    [key] = users.add("alice", public(made[name]))
    argv = ["ssh-keygen", "-l", "-f", str(made[name])]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert key.fingerprint in shown and key.comment == f"{name}@laptop"
    assert [found.user for found in users.all()] == ["alice"]
    assert users.find(key.blob) == key
    users.remove("alice", key.fingerprint)
    assert users.all() == [] and users.find(key.blob) is None


def test_files_are_for_their_owner_alone(users, made):
    users.add("alice", public(made["ed"]))
    assert os.stat(users.path).st_mode & 0o777 == 0o700
    assert os.stat(users.path / "alice").st_mode & 0o777 == 0o600


def test_another_process_sees_a_change_at_once(users, made):
    other = Users(users.path)
    assert other.all() == []
    users.add("alice", public(made["ed"]))
    assert [key.user for key in other.all()] == ["alice"]
    users.add("alice", public(made["ec"]))
    assert len(other.all()) == 2
    users.remove("alice")
    assert other.all() == []


def test_the_same_key_twice_is_once(users, made):
    users.add("alice", public(made["ed"]))
    users.add("alice", public(made["ed"]) + "\n# comment\n" + public(made["ec"]))
    assert len(users.all()) == 2


def test_a_key_belongs_to_one_person(users, made):
    users.add("alice", public(made["ed"]))
    with pytest.raises(BadName, match="alice's key already"):
        users.add("bob", public(made["ed"]))


def test_what_is_no_key_is_named(users, made):
    for text, says in (
        ("", "there is no key"),
        (made["ed"].read_text(), "this is a private key"),
        ("hello world", "this is no public key"),
        ("ssh-ed25519 AAAAnonsense", "does not read"),
        ('command="rm -rf /" ' + public(made["ed"]), "this is no public key"),
        (public(made["weak"]), "of 1024 bits is too weak"),
    ):
        with pytest.raises(BadName, match=says):
            users.add("alice", text)
    assert users.all() == []


@pytest.mark.parametrize("name", ["../x", "Alice", "", "-x", "a/b", "root\n"])
def test_names_of_users_are_checked(users, made, name):
    with pytest.raises(BadName):
        users.add(name, public(made["ed"]))


def test_who_is_not_there_is_answered_with_who_is(users, made):
    users.add("alice", public(made["ed"]))
    with pytest.raises(NotFound, match="did you mean alice"):
        users.remove("alicce")
    with pytest.raises(NotFound, match="no key SHA256:x"):
        users.remove("alice", "SHA256:x")


def test_a_broken_line_does_not_lock_out_the_others(users, made):
    users.add("alice", public(made["ed"]))
    with (users.path / "alice").open("a") as file:
        file.write("garbage\n")
    assert [key.user for key in users.all()] == ["alice"]
