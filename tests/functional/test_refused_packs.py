"""Packs and refs that are refused: too large, cut off, corrupt, or with names that are not for pushers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

from .refusing import again, blob, hostile, raw_tree, refused, shop
from .session import SMALL, App, hello

__all__ = ["again", "shop"]


# The pack.


def test_a_pack_that_is_too_large(shop: App) -> None:
    shop.commit("Large", {"large.bin": os.urandom(2_000_000)})
    with shop.server.settings(SMALL + "limits: {pack: 1MB}\n"):
        refused(shop, "pack exceeds maximum allowed size")


def test_a_tree_that_is_too_large(shop: App) -> None:
    shop.commit("It packs well", {"large.txt": b"a" * 3_000_000})
    with shop.server.settings(SMALL + "limits: {unpacked: 2MB}\n"):
        push = refused(shop, "bytes unpacked; the limit is 2,000,000")
    assert "the largest file is large.txt" in push.err


def test_a_tree_of_too_many_files(shop: App) -> None:
    shop.commit("Many", {f"many/{number}": "" for number in range(50)})
    with shop.server.settings(SMALL + "limits: {files: 20}\n"):
        refused(shop, "files and directories; the limit is 20")


def test_a_tree_that_a_few_bytes_blow_up(shop: App) -> None:
    tree = raw_tree(shop, [("100644", b"%d" % number, blob(shop)) for number in range(10)])
    for _ in range(7):
        tree = raw_tree(shop, [("40000", b"%d" % number, tree) for number in range(10)])
    refused(shop, "files and directories; the limit is 100,000", hostile(shop, ("40000", b"bomb", tree)))


def sent(shop: App, new: str, pack: bytes) -> str:
    """Send a pack straight to git-receive-pack, as no git would; returns what came back."""
    line = f"{shop.live()} {new} refs/heads/master\0 report-status side-band-64k".encode()
    request = b"%04x%s0000%s" % (len(line) + 4, line, pack)
    return shop.server.ssh(f"git-receive-pack '{shop.name}'", stdin=request).text


def pack(shop: App, *args: str, objects: str) -> bytes:
    """What git pack-objects makes of object ids, or with --revs of revisions."""
    path = shop.server.user / "pack"
    name = shop.git("pack-objects", "-q", *args, str(path), stdin=objects.encode())
    return path.with_name(f"pack-{name}.pack").read_bytes()


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: data[:-20], lambda data: b""])
def test_a_pack_that_is_cut_off(shop: App, spoil: Callable[[bytes], bytes]) -> None:
    base = shop.live()
    new = shop.commit("Second page", {**hello("two"), "more.bin": os.urandom(100_000)})
    data = pack(shop, "--revs", objects=f"{new}\n^{base}\n")
    with shop.server.unchanged():
        assert "ng refs/heads/master" in sent(shop, new, spoil(data)) or spoil(data) == b""
        assert (shop.live(), shop.says()) == (base, "one")


def test_a_pack_that_is_corrupt(shop: App) -> None:
    base = shop.live()
    new = shop.commit("Second page", {**hello("two"), "more.bin": os.urandom(100_000)})
    data = bytearray(pack(shop, "--revs", objects=f"{new}\n^{base}\n"))
    data[len(data) // 2] ^= 0xFF
    with shop.server.unchanged():
        assert "ng refs/heads/master" in sent(shop, new, bytes(data))
        assert (shop.live(), shop.says()) == (base, "one")


def test_a_pack_that_misses_objects(shop: App) -> None:
    base = shop.live()
    parent = shop.commit("Never sent", hello("two"))
    new = shop.commit("On top of it", hello("three"))
    first = parent
    second = "\n".join([new, *objects_of(shop, new)])
    for commit, objects in ((parent, first), (new, second)):  # without its tree; without its parent
        with shop.server.unchanged():
            said = sent(shop, commit, pack(shop, objects=f"{objects}\n"))
            assert re.search("ng refs/heads/master (missing necessary objects|did not receive expected object)", said)
            assert (shop.live(), shop.says()) == (base, "one")


def objects_of(shop: App, commit: str) -> list[str]:
    """The tree of a commit, and everything in it."""
    rows = shop.git("ls-tree", "-r", "-t", commit).splitlines()
    return [shop.git("rev-parse", f"{commit}^{{tree}}"), *(row.split()[2] for row in rows)]


def test_a_thin_pack_whose_base_is_not_here(shop: App) -> None:
    base = shop.live()
    text = os.urandom(30_000)
    secret = shop.commit("Never sent", {"more.bin": text})
    new = shop.commit("On top", {"more.bin": text + b"a little"})
    data = shop.server.user / "thin"
    argv = f"git pack-objects -q --revs --thin --stdout > {data}"
    shop.git("-c", f"alias.thin=!{argv}", "thin", stdin=f"{new}\n^{secret}\n".encode())
    assert data.stat().st_size < 10_000  # a delta
    with shop.server.unchanged():
        assert "ng refs/heads/master" in sent(shop, new, data.read_bytes())
        assert (shop.live(), shop.says()) == (base, "one")


def test_something_that_is_no_commit(shop: App) -> None:
    one = blob(shop, b"I am a blob\n")
    before = shop.live()
    with shop.server.unchanged():
        assert "ng refs/heads/master" in sent(shop, one, pack(shop, objects=f"{one}\n"))
        assert (shop.live(), shop.says()) == (before, "one")


# Refs.


@pytest.mark.parametrize(
    "ref", ["refs/heads/--upload-pack=x", "refs/heads/-x", "refs/heads/HEAD", "refs/heads/" + "a" * 40]
)
def test_a_ref_that_is_dangerous(shop: App, ref: str) -> None:
    shop.commit("Second page", hello("two"))
    with shop.server.unchanged():
        push = shop.push("deploy", f"HEAD:{ref}")
        assert push.status != 0
        assert "[remote rejected]" in push.err
        assert shop.says() == "one"


@pytest.mark.parametrize("ref", ["refs/releases/v1", "refs/versions/x", "refs/namespaces/staging/refs/heads/master"])
def test_a_ref_that_is_the_server_s_own(shop: App, ref: str) -> None:
    shop.commit("Second page", hello("two"))
    with shop.server.unchanged():
        push = shop.push("-f", "deploy", f"HEAD:{ref}")
        assert push.refused(f"{ref} is not for pushing")
        assert shop.says() == "one"


def test_two_branches_at_once(shop: App) -> None:
    shop.commit("Second page", hello("two"))
    with shop.server.unchanged():
        push = shop.push("deploy", "HEAD:master", "HEAD:main")
        assert push.status != 0
        assert shop.says() == "one"


def test_a_push_that_is_not_forced(shop: App) -> None:
    shop.git("commit", "-q", "--amend", "-m", "Another first page")
    with shop.server.unchanged():
        push = shop.push("deploy", "master")
        assert push.status != 0
        assert "[rejected]" in push.err  # git's own, before it sends anything
