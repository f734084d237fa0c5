"""Exec requests: what real git sends is understood, and nothing is expanded."""

import random
import shlex
import subprocess

import pytest

from gitdeploy.errors import BadName
from gitdeploy.ssh.command import Command, parse


@pytest.mark.parametrize(
    ("line", "command"),
    {
        "git-receive-pack '/staging/shop.git'": Command("git-receive-pack", ("/staging/shop.git",)),
        "git receive-pack 'shop'": Command("git-receive-pack", ("shop",)),
        "git-upload-pack '/shop'": Command("git-upload-pack", ("/shop",)),
        "git upload-pack '/shop'": Command("git-upload-pack", ("/shop",)),
        r"git-receive-pack 'it'\''s'": Command("git-receive-pack", ("it's",)),
        r"git-receive-pack 'hey'\!' you'": Command("git-receive-pack", ("hey! you",)),
        "git-receive-pack ''": Command("git-receive-pack", ("",)),
        "git-receive-pack '$(id)'": Command("git-receive-pack", ("$(id)",)),
        "logs shop -n 20 -f": Command("logs", ("shop", "-n", "20", "-f")),
        'releases "staging/shop" --json': Command("releases", ("staging/shop", "--json")),
        "  help  ": Command("help"),
        "git": Command("git"),
        "apps; rm -rf / #x": Command("apps;", ("rm", "-rf", "/", "#x")),
        "echo $HOME `id` $(id) * ~ > x && y | z": Command(
            "echo", ("$HOME", "`id`", "$(id)", "*", "~", ">", "x", "&&", "y", "|", "z")
        ),
        "set J\u00fcrgen": Command("set", ("J\u00fcrgen",)),
    }.items(),
)
def test_commands(line, command):
    assert parse(line.encode()) == command


@pytest.mark.parametrize(
    "line",
    [
        b"", b"   ", b"''", b"'' x", b"apps 'x", b'apps "x', b"apps \\", b"apps\nhelp", b"apps\0", b"apps \x1b[2J",
        b"apps\t", b"apps \x7f", b"apps \xff", b"apps \xc2\x85", b"apps \xe2\x80\xae", b"apps " + b"x" * 4096,
    ],
)  # fmt: skip
def test_no_commands(line):
    with pytest.raises(BadName) as refused:
        parse(line)
    assert str(refused.value).isprintable() and str(refused.value).isascii() and len(str(refused.value)) < 400


def test_it_is_split_as_a_shell_does():
    rng = random.Random(3)
    for _ in range(500):
        words = ["x", *("".join(rng.choices("ab '\"\\$!`*;\u00e9", k=rng.randint(0, 8))) for _ in range(3))]
        assert parse(shlex.join(words).encode()) == Command("x", tuple(words[1:]))


@pytest.mark.parametrize("path", ["/staging/shop.git", "/it's", "/hey! you", "/$(id)", "/a;b", "/a\\b", '/"x"'])
def test_what_git_itself_sends(tmp_path, path):
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nprintf %s "$last" > "$(dirname "$0")/seen"\nexit 1\n')
    ssh.chmod(0o755)
    environ = {"PATH": "/usr/bin:/bin", "GIT_SSH": str(ssh), "GIT_SSH_VARIANT": "ssh", "HOME": str(tmp_path)}
    for git, name in (("ls-remote", "git-upload-pack"), ("send-pack", "git-receive-pack")):
        (tmp_path / "seen").unlink(missing_ok=True)
        repo = tmp_path / "repo"
        subprocess.run(["git", "init", "-q", str(repo)], check=True, env=environ, timeout=20)
        refs = ["refs/heads/x"] if git == "send-pack" else []
        subprocess.run(
            ["git", git, f"deploy@host:{path}", *refs],
            cwd=repo,
            env=environ,
            timeout=20,
            capture_output=True,
            check=False,
        )
        assert parse((tmp_path / "seen").read_bytes()) == Command(name, (path,))
