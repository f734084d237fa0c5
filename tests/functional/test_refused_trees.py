"""Trees that are refused, as an entry of them would do harm, or not be what it is, where it is written."""

from __future__ import annotations

import pytest

from .refusing import again, blob, hostile, raw_tree, refused, shop
from .session import PYTHON, App, hello

__all__ = ["again", "shop"]

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 12345\n"


def test_a_submodule(shop: App) -> None:
    shop.git("update-index", "--add", "--cacheinfo", f"160000,{'5' * 40},vendor/apples")
    shop.git("commit", "-q", "-m", "A submodule")
    push = refused(shop, "vendor/apples: is a submodule")
    assert "git subtree add --prefix vendor/apples" in push.err


def test_a_pointer_of_git_lfs(shop: App) -> None:
    shop.commit("A pointer", {"static/film.mp4": LFS})
    refused(shop, "static/film.mp4: is a git-LFS pointer")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/etc/passwd", "is a link to an absolute path"),
        ("../secret", "is a link out of the repository"),
        ("lib/../../secret", "is a link"),
        (".git/config", "is a link through .git"),
    ],
)
def test_a_link_that_escapes(shop: App, target: str, reason: str) -> None:
    (shop.directory / "link").symlink_to(target)
    shop.commit("A link")
    refused(shop, f"link: {reason}")


def test_a_pth_file_with_an_absolute_path(shop: App) -> None:
    lines = "# made by a tool\n/home/alice/shop/src/apples\n../src/apples\n../../elsewhere\nimport os\n"
    files = {
        "lib/apples.pth": lines,
        "src/apples/pip.py": "",
        "other.pth": "/opt/pears\n",
        "src/not-read.pth": "/opt\n",
    }
    shop.commit("Where apples are", {**hello("two"), "app.yaml": PYTHON + "paths: lib\n", **files})
    says = "is an absolute path, which is right on one machine only; write"
    push = refused(shop, f'lib/apples.pth:2: "/home/alice/shop/src/apples" {says} ../src/apples')
    assert (
        'remote:  !     lib/apples.pth:4: "../../elsewhere" leads out of the tree; put the directory into' in push.err
    )
    assert (
        f'remote:  !     other.pth:1: "/opt/pears" {says[:-5]}put the directory into the tree, and write the path'
        in push.err
    )
    assert "from the top of the tree, such as src" in push.err
    assert "not-read" not in push.err


@pytest.mark.parametrize(
    "name",
    [
        b".git",
        b".GIT",
        b".Git",
        b"git~1",
        b".git ",
        b".git.",
        b".git::$INDEX_ALLOCATION",
        b".g\xe2\x80\x8cit",
        b".git\\x",
    ],
)
def test_an_entry_that_is_git_s_own(shop: App, name: bytes) -> None:
    for row in (("100644", name, blob(shop)), ("40000", name, raw_tree(shop, [("100644", b"config", blob(shop))]))):
        refused(shop, "git", hostile(shop, row))


@pytest.mark.parametrize(
    "name", [b"..", b".", b"a/b", b"/etc", b"a\nb", b"a\rb", b"a\x1b[2Jb", b"a\x7fb", b"\xff\xfe", b"x" * 256]
)
def test_an_entry_whose_name_is_dangerous(shop: App, name: bytes) -> None:
    commit = hostile(shop, ("100644", name, blob(shop)))
    before = shop.live()
    with shop.server.unchanged():
        push = shop.push("-f", "deploy", f"{commit}:master")
        assert push.status != 0
        assert "[remote rejected]" in push.err
        assert "\x1b[2J" not in push.err
        assert (shop.live(), shop.says()) == (before, "one")


def test_names_that_are_there_twice(shop: App) -> None:
    rows = [("100644", b"twice", blob(shop)), ("100644", b"twice", blob(shop, b"y\n"))]
    refused(shop, "duplicate", hostile(shop, *rows))


def test_names_that_differ_in_case_only(shop: App) -> None:
    shop.commit("Case", {"Lib/a.py": "", "lib/b.py": ""})
    refused(shop, "only in case")


def test_names_that_differ_in_the_spelling_of_accents_only(shop: App) -> None:
    shop.commit("Accents", {"caf\u00e9": "", "cafe\u0301": ""})
    refused(shop, "only in case or accents")


def test_a_link_that_another_entry_would_be_written_through(shop: App) -> None:
    inside = raw_tree(shop, [("100644", b"passwd", blob(shop))])
    rows = [("120000", b"out", blob(shop, b"static")), ("40000", b"out", inside)]
    before = shop.live()
    with shop.server.unchanged():
        push = shop.push("-f", "deploy", f"{hostile(shop, *rows)}:master")
        assert push.status != 0
        assert "[remote rejected]" in push.err
        assert (shop.live(), shop.says()) == (before, "one")


def test_a_mode_that_does_not_come_back(shop: App) -> None:
    commit = hostile(shop, ("100664", b"group", blob(shop)))
    refused(shop, "100664", commit)
