"""An app's repository: environments apart, objects shared, releases recorded."""

import os
import subprocess

import pytest

from gitdeploy.git.push import ZERO
from gitdeploy.git.repository import ReleaseTag, Repository

GIT = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": "a@example.com",
}  # fmt: skip


def git(repository, *words, **environ):
    argv = ["git", "--git-dir", str(repository.path), *words]
    return subprocess.run(
        argv, env={**GIT, **environ}, check=True, capture_output=True, text=True, timeout=30, input=""
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "repositories" / "shop.git")
    made.create()
    return made


@pytest.fixture
def commit(repository):
    blob = subprocess.run(
        ["git", "--git-dir", str(repository.path), "hash-object", "-w", "--stdin"],
        env=GIT, input="platform: static\n", text=True, capture_output=True, check=True, timeout=30,
    ).stdout.strip()  # fmt: skip
    git(
        repository,
        "update-index",
        "--add",
        "--cacheinfo",
        f"100644,{blob},app.yaml",
        GIT_INDEX_FILE=str(repository.path / "i"),
    )
    tree = git(repository, "write-tree", GIT_INDEX_FILE=str(repository.path / "i"))
    return git(repository, "commit-tree", "-m", "First page\n\nMore.", tree)


def test_git_reads_what_was_configured(repository):
    assert git(repository, "config", "receive.fsckObjects") == "true"
    assert git(repository, "config", "receive.unpackLimit") == "1"
    assert git(repository, "config", "core.bigFileThreshold") == "16777216"
    assert git(repository, "config", "receive.fsck.zeroPaddedFilemode") == "warn"
    assert (
        git(repository, "check-attr", "text", "filter", "ident", "--", "x")
        == "x: text: unset\nx: filter: unset\nx: ident: unset"
    )
    repository.create()
    assert not repository.has_refs()


def test_a_commit_and_a_file_of_it(repository, commit):
    found = repository.commit(commit)
    assert (found.subject, found.author) == ("First page", "Alice")
    assert repository.file(found.tree, "app.yaml") == b"platform: static\n"
    assert repository.file(found.tree, "other.yaml") is None
    assert repository.commit(found.tree) is None and repository.commit("0" * 39 + "1") is None


def test_environments_do_not_see_each_other(repository, commit):
    assert repository.move("production", "refs/heads/master", ZERO, commit)
    repository.set_head("production", "refs/heads/master")
    assert repository.ref("production", "refs/heads/master") == commit
    assert repository.ref("staging", "refs/heads/master") is None
    assert repository.head("production") == "refs/heads/master" and repository.head("staging") is None
    assert (
        git(repository, "symbolic-ref", "refs/namespaces/production/HEAD")
        == "refs/namespaces/production/refs/heads/master"
    )


def test_a_ref_moves_only_from_where_it_was(repository, commit):
    assert repository.move("production", "refs/heads/master", ZERO, commit)
    assert not repository.move("production", "refs/heads/master", "1" * 40, commit)


def test_releases_are_annotated_tags(repository, commit):
    for number in (1, 2, 10):
        repository.record("production", ReleaseTag(number, commit, "alice", 1_700_000_000, f"release v{number}\n"))
    assert [one.number for one in repository.releases("production")] == [1, 2, 10]
    assert [one.number for one in repository.releases("production", 2)] == [2, 10]
    shown = git(repository, "cat-file", "-p", "refs/namespaces/production/refs/releases/v10")
    assert f"object {commit}" in shown and "tagger alice <alice> 1700000000 +0000" in shown
    git(repository, "fsck", "--strict")


def test_a_release_is_recorded_once(repository, commit):
    repository.record("production", ReleaseTag(1, commit, "alice", 1, "first\n"))
    repository.record("production", ReleaseTag(1, commit, "bob", 2, "second\n"))
    assert repository.releases("production")[0].user == "alice"


def test_kept_versions_are_offered_and_forgotten(repository, commit):
    repository.keep({commit})
    assert git(repository, "rev-parse", f"refs/versions/{commit}") == commit
    repository.keep(set())
    assert git(repository, "for-each-ref") == ""


def test_environments_are_those_with_a_branch(repository, commit, tmp_path):
    assert repository.environments() == set()
    git(repository, "update-ref", "refs/versions/x", commit)
    git(repository, "update-ref", "refs/namespaces/production/refs/tags/a", commit)
    assert repository.environments() == set()
    git(repository, "update-ref", "refs/namespaces/staging/refs/heads/feature/x", commit)
    assert repository.environments() == {"staging"}
    assert Repository(tmp_path / "none.git").environments() == set()


def test_there_is_one_deployed_branch_beside_what_is_prepared(repository, commit):
    for name in ("master", "prepare"):
        git(repository, "update-ref", f"refs/namespaces/production/refs/heads/{name}", commit)
    assert repository.head("production") == "refs/heads/master"  # it was killed before HEAD could be written
    git(repository, "update-ref", "refs/namespaces/production/refs/heads/main", commit)
    git(repository, "update-ref", "refs/namespaces/staging/refs/heads/master", commit)
    assert repository.head("production") is None
    repository.set_head("production", "refs/heads/main")
    assert repository.head("production") == "refs/heads/main"
    assert set(repository.refs("production")) == {"refs/heads/main", "refs/heads/prepare"}
    assert set(repository.refs("staging")) == {"refs/heads/master"}
