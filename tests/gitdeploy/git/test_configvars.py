"""Config vars and their history: read back as they were set, and nobody's change is lost to another's."""

import subprocess
from dataclasses import replace

import pytest

from gitdeploy.errors import Refused
from gitdeploy.git.configvars import ConfigStore, ConfigVars


@pytest.fixture
def store(tmp_path):
    return ConfigStore(tmp_path / "config" / "shop.git")


def put(store, variables, scale=None, environment="production"):
    before = store.read(environment)
    after = store.propose(
        environment, replace(before, variables=variables, scale=scale or {}), "alice", "Set it", 1000.5
    )
    store.accept(environment, before, after)
    return store.read(environment)


def test_nothing_is_set_at_first_and_nothing_is_made(store):
    assert store.read("production") == ConfigVars()
    assert not store.path.exists()


def test_what_is_set_is_read_back(store):
    variables = {"A": "", "KEY": "-----BEGIN\nline\n", "ÜBER_NO": "grün = ö", "Z": "x" * 70_000}
    found = put(store, variables, {"worker": 2, "web": 0})
    assert found.variables == variables
    assert found.scale == {"worker": 2, "web": 0}
    assert store.read("staging") == ConfigVars()
    assert put(store, {}).variables == {}


def test_a_proposal_does_not_count(store):
    before = put(store, {"A": "1"})
    proposed = store.propose("production", replace(before, variables={"A": "2"}), "alice", "Set A", 1000)
    assert store.read("production") == before
    store.accept("production", before, proposed)
    assert store.read("production") == proposed


@pytest.mark.parametrize("first", [{}, {"A": "1"}])
def test_the_second_of_two_changes_at_once_is_refused(store, first):
    before = put(store, first) if first else store.read("production")
    mine = store.propose("production", replace(before, variables={"A": "2"}), "alice", "Set A", 1000)
    others = store.propose("production", replace(before, variables={"B": "3"}), "bob", "Set B", 1000)
    store.accept("production", before, others)
    with pytest.raises(Refused, match="changed by somebody else"):
        store.accept("production", before, mine)
    assert store.read("production").variables == {"B": "3"}


def test_git_tells_who_changed_what(store):
    put(store, {"A": "1"})
    put(store, {"A": "1", "B": "2"})
    argv = ["git", "--git-dir", str(store.path), "log", "-p", "--format=%an %at %s", "production"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    assert said.startswith("alice 1000 Set it\n")
    assert "+++ b/vars/B" in said
    fsck = subprocess.run(
        ["git", "--git-dir", str(store.path), "fsck", "--strict"], capture_output=True, text=True, check=True
    )
    assert "error" not in fsck.stderr
