"""The command line as whoever writes an application types it, and git as they use it."""

import os
import subprocess
import sys

import pytest

GIT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": "a@example.com",
}  # fmt: skip


@pytest.fixture
def call(tmp_path):
    """Run a program in `tmp_path`, or below it; returns what it wrote."""

    def call(*argv, status=0, cwd="", **environ):
        env = {**os.environ, **GIT, "HOME": str(tmp_path / "nobody"), **environ}
        done = subprocess.run(
            [str(word) for word in argv], cwd=tmp_path / cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    return call


@pytest.fixture
def gitdeploy(call):
    return lambda *argv, **how: call(sys.executable, "-m", "gitdeploy", *argv, **how)


@pytest.fixture
def files(tmp_path):
    """Write files below `tmp_path`."""

    def write(texts, top=""):
        for name, text in texts.items():
            path = tmp_path / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


@pytest.fixture
def commit(call):
    """Commit everything in a directory."""

    def commit(top, message="First page"):
        call("git", "init", "-q", "-b", "master", cwd=top)
        call("git", "add", "-A", cwd=top)
        call("git", "commit", "-q", "-m", message, cwd=top)

    return commit
