"""Versions: what real git says of a tree is what a node computes of it."""

import os
import subprocess

import pytest

from buildless.node import versions
from buildless.node.versions import scan

GIT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(directory, *words):
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(
        ["git", *who, *words], cwd=directory, env=GIT, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path):
    """A tree with all that git can hold, and with names whose order is git's own and nobody else's."""
    top = tmp_path / "tree"
    (top / "a").mkdir(parents=True)
    (top / "a.b").mkdir()
    (top / "deep" / "er").mkdir(parents=True)
    (top / "a" / "file").write_bytes(b"x")
    (top / "a-b").write_bytes(b"")
    (top / "a.b" / "file").write_bytes(b"y" * 3_000_000)
    (top / "deep" / "er" / "run").write_text("#!/bin/sh\n")
    (top / "deep" / "er" / "run").chmod(0o755)
    (top / "link").symlink_to("deep/er/run")
    (top / "dangling").symlink_to("nowhere")
    (top / "ünï cøde").write_text("ü")
    return top


def tree_id(top, tmp_path):
    git(tmp_path, "init", "-q", "--bare", "git")
    git(top, "--git-dir", str(tmp_path / "git"), "--work-tree", ".", "add", "-A")
    return git(top, "--git-dir", str(tmp_path / "git"), "write-tree")


def test_the_id_is_gits_own(tree, tmp_path):
    assert scan(str(tree), {}, {}) == tree_id(tree, tmp_path)


def test_anything_else_changes_it(tree, tmp_path):
    before = scan(str(tree), {}, {})
    for change in (
        lambda: (tree / "more").write_text(""),
        lambda: (tree / "more").unlink() or (tree / "a" / "file").chmod(0o755),
        lambda: (tree / "link").unlink() or (tree / "link").symlink_to("deep"),
    ):
        change()
        after = scan(str(tree), {}, {})
        assert after != before
        before = after


def test_what_git_cannot_hold_is_an_error(tree):
    (tree / "empty").mkdir()
    with pytest.raises(ValueError, match="empty/ is an empty directory"):
        scan(str(tree), {}, {})
    (tree / "empty").rmdir()
    os.mkfifo(tree / "pipe")
    with pytest.raises(ValueError, match="pipe is neither"):
        scan(str(tree), {}, {})


def test_a_linked_version_shares_files_and_reads_none_of_them_again(tree, tmp_path, monkeypatch):
    index = {}
    old = scan(str(tree), {}, index)
    new = tmp_path / "new"
    new.mkdir()
    assert versions.link_tree(str(tree), index, str(new), ["a/file"]) == len(index) - 1
    (new / "a").mkdir(exist_ok=True)
    (new / "a" / "file").write_bytes(b"x")
    assert (new / "a.b" / "file").samefile(tree / "a.b" / "file")
    read = []
    real = versions.blob_id
    monkeypatch.setattr(
        versions, "blob_id", lambda path, status: read.append(os.path.basename(path)) or real(path, status)
    )
    assert scan(str(new), index, {}) == old
    assert sorted(read) == ["dangling", "file", "link"]  # the new file, and symlinks, which are made anew


def test_an_index_that_vouches_for_another_file_is_not_believed(tree):
    index = {}
    old = scan(str(tree), {}, index)
    (tree / "a" / "file").write_bytes(b"z")  # same size, new mtime
    assert scan(str(tree), index, {}) != old


def test_protected_and_removed_again(tree):
    index = {}
    scan(str(tree), {}, index)
    versions.protect(str(tree), index, {}, lambda path: None)
    assert (tree / "a").stat().st_mode & 0o777 == 0o555
    assert (tree / "a" / "file").stat().st_mode & 0o777 == 0o444
    assert (tree / "deep" / "er" / "run").stat().st_mode & 0o777 == 0o555
    versions.remove_tree(tree)
    assert not tree.exists()
    versions.remove_tree(tree)
