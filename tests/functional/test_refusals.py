"""What is refused: the pusher reads why, the ref stays, the old release goes on answering, and nothing is left behind."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

import pytest

from .session import HELLO, PYTHON, SMALL, App, Done, Server, hello

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 12345\n"
BROKEN_PING = """\
def application(environ, start_response):
    status = "500 Oh" if environ["PATH_INFO"] == "/" else "404 No"
    start_response(status, [("Content-Type", "text/plain")])
    return [b"the till is locked"]
"""
DYING = "import os\nprint('no till here', flush=True)\nos._exit(7)\n"


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


# The description.


def test_no_description(shop: App) -> None:
    shop.git("rm", "-q", "app.yaml")
    shop.commit("No app.yaml")
    refused(shop, "there is no app.yaml at the top of the tree")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("platform: [python, wsgi\napp: hello:application\n", "app.yaml:2"),
        ("platform: python, wsgi\n\tapp: x:y\n", "app.yaml:2"),
        (PYTHON + "paths: {a: b}\n", "app.yaml:3"),
        (PYTHON + "env: [a, b]\n", "app.yaml:3"),
        (PYTHON + "ping: 3.10\n", "app.yaml:3"),
        (PYTHON + "pingg: /\n", "did you mean ping"),
        ("platform: pyhton, wsgi\napp: hello:application\n", "did you mean python"),
        ("app: hello:application\n", "write `platform: python, wsgi`"),
        ("platform: python, wsgi\n", "write `app: module:object`"),
        (b"platform: \xff\xfe\n", "app.yaml"),
        ("", "app.yaml"),
        ("&a [*a, *a]\n", "app.yaml"),
    ],
    ids=["unclosed", "tab", "map", "list", "number", "key", "platform", "no-platform", "no-app", "bytes", "empty", "alias"],
)  # fmt: skip
def test_a_description_with_mistakes(shop: App, text: str | bytes, reason: str) -> None:
    shop.commit("A mistake", {"app.yaml": text})
    refused(shop, reason)


def test_every_mistake_of_a_description_is_told(shop: App) -> None:
    shop.commit("Mistakes", {"app.yaml": PYTHON + "pingg: /\nenv: 5\n"})
    push = refused(shop, "app.yaml:3")
    assert "remote:  !     app.yaml:4" in push.err


def test_a_description_that_is_a_directory(shop: App) -> None:
    shop.git("rm", "-q", "app.yaml")
    shop.commit("A directory", {"app.yaml/inside": "x"})
    refused(shop, "app.yaml")


def test_a_description_that_is_a_link(shop: App) -> None:
    (shop.directory / "app.yaml").unlink()
    (shop.directory / "app.yaml").symlink_to("/etc/passwd")
    shop.commit("A link")
    refused(shop, "app.yaml")


# The application.


def test_an_application_that_does_not_import(shop: App) -> None:
    shop.commit("Plums", {"hello.py": "import plums\n"})
    push = refused(shop, "No module named 'plums'")
    assert "Traceback (most recent call last)" in push.err
    assert 'hello.py", line 1' in push.err


def test_an_application_without_the_object(shop: App) -> None:
    shop.commit("Another name", {"hello.py": (HELLO % "one").replace("def application", "def app")})
    refused(shop, "application")


def test_an_application_that_dies(shop: App) -> None:
    shop.commit("It dies", {"hello.py": DYING})
    with shop.server.settings(SMALL + "limits: {boot: 5s}\n"):
        push = refused(shop, "start")
    assert "no till here" in push.err


def test_an_application_that_does_not_start_in_time(shop: App) -> None:
    shop.commit("It sleeps", {"hello.py": "import time\nprint('good night', flush=True)\ntime.sleep(600)\n"})
    with shop.server.settings(SMALL + "limits: {boot: 2s}\n"):
        push = refused(shop, "the application did not start within 2 s")
    assert "good night" in push.err


def test_an_application_that_answers_its_check_with_an_error(shop: App) -> None:
    shop.commit("The till is locked", {"hello.py": BROKEN_PING})
    push = refused(shop, "/ answered 500")
    assert "the till is locked" in push.err


def test_an_application_that_answers_its_own_ping_with_an_error(shop: App) -> None:
    shop.commit("No ping", {"hello.py": BROKEN_PING, "app.yaml": PYTHON + "ping: /ping\n"})
    refused(shop, "/ping answered 404; it must be below 400")


def test_an_application_that_raises_at_its_check(shop: App) -> None:
    shop.commit(
        "It raises", {"hello.py": "def application(environ, start_response):\n    raise ValueError('no apples')\n"}
    )
    push = refused(shop, "/ answered 500")
    assert "ValueError: no apples" in push.err


def test_an_application_that_never_answers_its_check(shop: App) -> None:
    shop.commit(
        "It hangs", {"hello.py": "import time\ndef application(environ, start_response):\n    time.sleep(60)\n"}
    )
    with shop.server.settings(SMALL + "limits: {ping: 1s}\n"):
        refused(shop, "/")


def test_output_of_an_application_cannot_command_the_terminal(shop: App) -> None:
    shop.commit("Colours", {"hello.py": "import sys\nsys.exit('\\x1b[31mred\\x1b[0m \\x1b[2Jgone')\n"})
    push = refused(shop, "the application does not start")
    above = [line for line in push.err.splitlines() if "red gone" in line]
    assert above
    assert not any("\x1b[31m" in line or "\x1b[2J" in line for line in above)


# The tree.


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


# The first push of an app.


def test_a_first_push_that_is_refused_leaves_no_app(server: Server) -> None:
    fresh = server.app("fresh")
    fresh.commit("Plums", {"app.yaml": PYTHON, "hello.py": "import plums\n"})
    with server.unchanged():
        assert fresh.push().refused("No module named 'plums'")
    assert "fresh" not in server.gitdeploy("apps").ok().out
    assert fresh.get().status == 404
    fresh.commit("Without plums", hello("fresh"))
    fresh.push().ok()
    assert fresh.says() == "fresh"
