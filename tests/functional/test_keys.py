"""Keys: whose they are, which are taken, and who may change them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from .client import somebody
from .commanding import Command, command
from .session import Server, run

__all__ = ["command"]


def test_keys(server: Server, command: Command) -> None:
    public = server.key(f"key-of-{'ssh' if command == server.ssh else 'local'}")
    added = command("keys:add", "bob", stdin=public.read_bytes()).ok().out
    fingerprint = re.search(r"SHA256:\S+", added)
    assert fingerprint
    rows = json.loads(command("keys:list", "--json").ok().out)
    assert {"user": "bob", "fingerprint": fingerprint[0], "type": "ssh-ed25519", "comment": public.stem} in rows
    assert fingerprint[0] in command("keys:list").ok().out
    assert fingerprint[0] in command("keys:remove", "bob", fingerprint[0]).ok().out
    assert fingerprint[0] not in command("keys:list").ok().out
    assert command("keys:remove", "bob").status == 3


@pytest.mark.parametrize(
    "text", [b"", b"not a key\n", b"ssh-ed25519 AAAA\n", b"ssh-rsa !\n", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\n"]
)
def test_what_is_no_key(server: Server, command: Command, text: bytes) -> None:
    before = command("keys:list").ok().out
    done = command("keys:add", "bob", stdin=text)
    assert done.status not in (0, 255)
    assert done.err.startswith("gitdeploy: ")
    assert command("keys:list").ok().out == before


def test_a_key_has_one_owner(server: Server, command: Command) -> None:
    done = command("keys:add", "eve", stdin=(server.user / "key.pub").read_bytes())
    assert done.status == 2
    assert "is alice's key already" in done.err
    assert "eve" not in command("keys:list").ok().out


def test_several_keys_at_once(server: Server, command: Command) -> None:
    name = f"many-{'ssh' if command == server.ssh else 'local'}"
    text = b"# two keys\n\n" + b"".join(server.key(f"{name}-{number}").read_bytes() for number in (1, 2))
    assert len(command("keys:add", name, stdin=text).ok().out.splitlines()) == 2
    assert len(command("keys:remove", name).ok().out.splitlines()) == 2
    assert name not in command("keys:list").ok().out


def test_a_weak_key_is_not_taken(server: Server, command: Command) -> None:
    weak = server.user / f"weak-{'ssh' if command == server.ssh else 'local'}"
    run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(weak)], server.env, server.user).ok()
    done = command("keys:add", "weak", stdin=weak.with_suffix(".pub").read_bytes())
    assert done.status == 2
    assert "a ssh-rsa key of 1024 bits is too weak" in done.err


def test_keys_of_others_are_for_admins(servers: Callable[..., Server]) -> None:
    server = servers("web: {processes: 1}\nadmins: alice\n")
    bob, other, third = somebody(server, "bob").let_in(), server.key("other"), server.key("third")
    for words in (("keys:add", "carol"), ("keys:add", "alice"), ("keys:remove", "alice")):
        refused = bob.ssh(*words, stdin=other.read_bytes())
        assert refused.status == 1, refused.text
        assert "bob may change no keys but his own" in refused.err
    assert [row["user"] for row in json.loads(server.ssh("keys:list", "--json").ok().out)] == ["alice", "bob"]
    bob.ssh("keys:add", "bob", stdin=other.read_bytes()).ok()
    server.ssh("keys:add", "carol", stdin=third.read_bytes()).ok()
    server.ssh("keys:remove", "bob").ok()
    assert bob.ssh("help").status == 255


def test_a_file_of_keys_with_mistakes_locks_nobody_out(server: Server) -> None:
    dave = somebody(server, "dave").let_in()
    path = server.home / "keys" / "dave"
    path.write_text("ssh-ed25519 AAAA cut off\nnonsense\n" + path.read_text())
    assert "Hello dave" in dave.ssh().err
    assert server.ssh("help").ok()
    assert "dave" in server.gitdeploy("keys:list").ok().out
