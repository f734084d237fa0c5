"""Names from outside: what is taken, what is refused, and that git agrees about refs."""

import random
import subprocess

import pytest

from gitdeploy import names
from gitdeploy.errors import BadName, NotFound
from gitdeploy.names import Place

ENVIRONMENTS = ("production", "staging")


def place(path):
    return names.repository(path, ENVIRONMENTS, "production")


@pytest.mark.parametrize("name", ["a", "shop", "shop-2", "a" * 41, "web", "mail", "status"])
def test_app_names(name):
    assert names.app_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "Shop", "2shop", "-x", "shop-", "a" * 42, "shop_2", "shop.git", "sh\u043ep", "shop\n", "a;b", "$(id)",
        "a b", "xn--abc", "\uff53hop", "www", "localhost", "etc", "git", "gitdeploy", "a\0", "..", "sh\u0131p",
        "\u0661",
    ],
)  # fmt: skip
def test_no_app_names(name):
    with pytest.raises(BadName) as refused:
        names.app_name(name)
    assert "such as" in str(refused.value)
    assert str(refused.value).isprintable() and str(refused.value).isascii()


def test_environment_names():
    assert names.environment_name("staging") == "staging"
    for name in ("", "Staging", "a/b", "prod.", "prod\n", "-e"):
        with pytest.raises(BadName, match="such as staging"):
            names.environment_name(name)


def test_user_names():
    for name in ("alice", "a", "bob.smith", "ci_runner-2", "a" * 32):
        assert names.user_name(name) == name
    for name in ("", "Alice", "a" * 33, "../x", ".a", "a/b", "alice\n", "j\u00fcrgen", "-a"):
        with pytest.raises(BadName, match="such as alice"):
            names.user_name(name)


def test_release_names():
    assert names.release_name("v7") == 7
    assert names.release_name("v123456789") == 123456789
    for name, advice in {
        "v0": "v1",
        "v07": "v7",
        "v-1": "v1",
        "7": "v7",
        "V7": "v7",
        "": "v1",
        "v7\n": "v7",
        "v\u0667": "v1",
    }.items():
        with pytest.raises(BadName) as refused:
            names.release_name(name)
        assert str(refused.value).endswith(f"write {advice}")
    with pytest.raises(BadName):
        names.release_name("v" + "9" * 5000)


GOOD_BRANCHES = [
    "master",
    "feature/x",
    "a-b",
    "v1.0",
    "J\u00fcrgen",
    "fix#12",
    "a@b",
    "heads/x",
    "a,b",
    "x" * 200,
    "deadbeef",
    "\u65e5\u672c",
]
BAD_BRANCHES = [
    "",
    "-x",
    "a/-x",
    "--upload-pack=x",
    "HEAD",
    "@",
    "a..b",
    "a b",
    "a~b",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[",
    "a\\b",
    "/a",
    "a/",
]
BAD_BRANCHES += [
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a.",
    "a@{b",
    "a\x7f",
    "a\tb",
    "a\nb",
    "a\0b",
    "x" * 300,
    "0" * 40,
    "f" * 64,
]
BAD_BRANCHES += ["refs/heads/master", "a\u202eb", "a\u0085b", "a\u200bb", "\udcff", b"\xff\xfe", b"a\x80"]


@pytest.mark.parametrize("name", GOOD_BRANCHES)
def test_branches(name):
    assert names.branch_name(name) == name
    assert names.branch_name(name.encode()) == name
    assert names.ref_name(f"refs/heads/{name}") == f"refs/heads/{name}"


@pytest.mark.parametrize("name", BAD_BRANCHES)
def test_no_branches(name):
    with pytest.raises(BadName) as refused:
        names.branch_name(name)
    assert str(refused.value).isprintable() and str(refused.value).isascii() and len(str(refused.value)) < 250


def test_refs():
    for ref in ("refs/heads/HEADS", "refs/tags/v1.0", "refs/releases/v7", "refs/notes/commits", "refs/for/HEAD"):
        assert names.ref_name(ref) == ref
    for ref in (
        "master",
        "HEAD",
        "refs/",
        "refs/heads",
        "refs/heads/",
        "refs/stash",
        "refs/heads/--upload-pack=x",
        "refs/tags/HEAD",
    ):
        with pytest.raises(BadName):
            names.ref_name(ref)
    with pytest.raises(BadName, match="write refs/heads/master"):
        names.ref_name("master")


def git_takes(ref: bytes) -> bool:
    return subprocess.run(["git", "check-ref-format", ref], timeout=20).returncode == 0


def test_git_takes_every_ref_that_we_take():
    for name in GOOD_BRANCHES:
        assert git_takes(f"refs/heads/{name}".encode())
    rng = random.Random(7)
    pieces = [
        "a",
        "B",
        "/",
        ".",
        "..",
        "-",
        "@",
        "{",
        "@{",
        ".lock",
        "~",
        "^",
        ":",
        "?",
        "*",
        "[",
        "\\",
        " ",
        "\x7f",
        "\t",
        "\u00e9",
        "HEAD",
    ]
    taken = 0
    for _ in range(3000):
        ref = "refs/heads/" + "".join(rng.choices(pieces, k=rng.randint(1, 6)))
        try:
            names.ref_name(ref)
        except BadName:
            continue
        taken += 1
        if taken <= 150:
            assert git_takes(ref.encode()), ref
    assert taken > 150


def test_object_ids():
    for name in ("0" * 40, "0123456789abcdef" * 4, b"a" * 40):
        assert names.object_id(name) == (name if isinstance(name, str) else name.decode())
    for name in ("", "master", "A" * 40, "a" * 39, "a" * 41, "a" * 40 + "\n", "g" * 40, b"\xff" * 40, "\u0661" * 40):
        with pytest.raises(BadName):
            names.object_id(name)


@pytest.mark.parametrize(
    "path", ["shop", "shop.git", "/shop", "/shop.git", "/shop/", "shop.git/", "production/shop", "/production/shop.git"]
)
def test_repository_of_the_default_environment(path):
    assert place(path) == Place("shop", "production")


@pytest.mark.parametrize(
    "path", ["staging/shop", "staging/shop.git", "/staging/shop", "/staging/shop.git", "/staging/shop/"]
)
def test_repository_of_another_environment(path):
    assert place(path) == Place("shop", "staging")


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "//shop", "../x", "/../x", "..", ".", "/etc", "/.etc/passwd", "a/b/c/d", "-x",
        "--upload-pack=x", "a;b", "$(id)", "`id`", "a|b", "sh\u043ep", "\uff53hop", "shop\0", "shop\n",
        "shop\n.git", "\nshop", "a" * 5000, "~/shop", "~bob/shop", "/~/shop", ".git", "/.git", "staging/.git",
        "staging/../shop", "staging//shop", "/shop//", "Shop", "shop.git.git", "\udcff", "production",
        "staging", "staging/staging", "staging/production", "staging/", "C:\\shop", "staging\\shop",
        "shop ", " shop",
    ],
)  # fmt: skip
def test_no_repository(path):
    with pytest.raises(BadName) as refused:
        place(path)
    assert str(refused.value).isprintable() and str(refused.value).isascii() and len(str(refused.value)) < 400


def test_a_wrong_repository_is_told_the_right_one():
    for path, advice in {
        "~/shop": "without ~",
        "/staging": "write staging/APP",
    }.items():
        with pytest.raises(BadName) as refused:
            place(path)
        assert advice in str(refused.value)


def test_an_environment_that_is_not_there():
    for path, advice in {
        "stagin/shop": "did you mean staging?",
        "zzz/shop": "write one of production, staging",
        "/etc/passwd": "there is no environment 'etc'",
        "shop/staging": "there is no environment 'shop'",
    }.items():
        with pytest.raises(NotFound, match=advice.replace("?", r"\?")):
            place(path)


def test_every_place_is_read_as_it_is_spelled():
    for here in (Place("shop", "production"), Place("shop", "staging")):
        assert place(names.spell(here, "production")) == here
        assert place(str(here)) == here
    assert names.spell(Place("shop", "production"), "production") == "shop"
    assert names.spell(Place("shop", "staging"), "production") == "staging/shop"


def test_nearest():
    assert names.nearest("rolback", ["rollback", "releases", "redeploy"]) == "rollback"
    assert names.nearest("SHOP", ["shop", "Blog"]) == "shop"
    assert names.nearest("blgo", ["shop", "Blog"]) == "Blog"
    assert names.nearest("zzz", ["shop"]) is None
    assert names.nearest("", []) is None
    assert names.nearest("x" * 100_000, ["shop"]) is None
