"""An app that is live, and pushes to it that are refused: the pusher reads why, and nothing has changed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .session import App, Done, Server, hello


@pytest.fixture(scope="module")
def shop(server: Server) -> App:
    """An app whose first release answers ``one``; every test begins there."""
    app = server.app("shop")
    app.commit("First page", hello("one"))
    app.push().ok()
    return app


@pytest.fixture(autouse=True)
def again(shop: App) -> None:
    shop.git("reset", "-q", "--hard", "deploy/master")


def refused(shop: App, reason: str, commit: str = "HEAD") -> Done:
    """Push `commit`; it is refused for `reason`, and nothing has changed."""
    before = shop.live()
    with shop.server.unchanged():
        push = shop.push("-f", "deploy", f"{commit}:master")
        assert push.refused(reason)
        assert shop.live() == before
        assert shop.says() == "one"
    return push


def raw_tree(shop: App, rows: Sequence[tuple[str, bytes, str]]) -> str:
    """A tree object of exactly these rows (mode, name, id), whether git would make it or not; returns its id."""
    data = b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in rows)
    return shop.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)


def hostile(shop: App, *rows: tuple[str, bytes, str]) -> str:
    """A commit on top of the live one whose tree has the live files and `rows`, sorted as git does; returns its id."""
    good = [("100644", b"app.yaml", shop.git("rev-parse", "HEAD:app.yaml")),
            ("100644", b"hello.py", shop.git("rev-parse", "HEAD:hello.py"))]  # fmt: skip
    every = sorted([*good, *rows], key=lambda row: row[1] + (b"/" if row[0] == "40000" else b""))
    return shop.git("commit-tree", "-p", "HEAD", "-m", "Hostile", raw_tree(shop, every))


def blob(shop: App, data: bytes = b"x\n") -> str:
    return shop.git("hash-object", "-w", "--stdin", stdin=data)
