"""Pushes that go well: the first and the ones after it, and the files that they bring."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from .session import HELLO, PYTHON, App, Server, hello, run

SHOW = """\
import json, os, sys
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"environ": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "pid": os.getpid()}).encode()]
"""


def show(app: App) -> Any:
    """What an application that runs `SHOW` says of its process."""
    return json.loads(app.says())


# The first push, and the ones after it.


def test_a_first_push_is_live(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    push = shop.push().ok()
    assert shop.says() == "one"
    assert shop.live() == commit
    assert "-----> Live: v1" in push.err
    assert f"http://{shop.name}.localhost:{shop.server.http_port}/" in push.err


def test_a_second_push_sends_only_what_changed(shop: App) -> None:
    shop.commit("First page", {**hello("one"), "big.bin": os.urandom(200_000)})
    shop.push().ok()
    shop.commit("Second page", hello("two"))
    push = shop.push().ok()
    assert shop.says() == "two"
    objects, size = push.sent
    assert objects == 3  # commit, tree, hello.py
    assert size < 2_000
    assert "1 file sent" in push.err
    assert "2 kept" in push.err


KEEPS = """\
from buildless.secret import get_secret
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [get_secret().encode()]
"""


def test_a_secret_is_the_same_in_all_releases_and_another_in_each_environment(shop: App) -> None:
    shop.commit("Sign", {"app.yaml": PYTHON, "hello.py": KEEPS})
    shop.push().ok()
    first = shop.says()
    shop.commit("Sign again", {"hello.py": KEEPS + "# changed\n"})
    shop.push().ok()
    shop.push("staging", "master").ok()
    assert shop.says() == first and len(first) == 64
    other = shop.get(environment="staging").text
    assert other != first and len(other) == 64
    place = shop.server.home / "node" / "srv" / "apps" / shop.name / "secret"
    assert place.read_text() == first + "\n" and place.stat().st_mode & 0o777 == 0o600
    settings = "".join(path.read_text() for path in place.parent.glob("releases/*/settings"))
    assert first not in settings and str(place) in settings


def test_a_setting_of_sitecustomize_and_a_pth_file_are_there_in_the_application(shop: App) -> None:
    files = {
        "app.yaml": PYTHON + "paths: lib\n",
        "hello.py": "import apples, os\n" + HELLO.replace('b"%s"', "os.environ['FRUIT'].encode()"),
        "lib/sitecustomize.py": "import os\nos.environ['FRUIT'] = 'apples'\n",
        "lib/apples.pth": "../src\n",
        "src/apples.py": "",
    }
    shop.commit("Apples", files)
    shop.push().ok()
    assert shop.says() == "apples"


def test_rolling_back_sends_nothing_and_starts_nothing(shop: App) -> None:
    first = shop.commit("First page", {"app.yaml": PYTHON, "hello.py": SHOW})
    shop.push().ok()
    process = show(shop)["pid"]
    second = shop.commit("Second page", hello("two"))
    shop.push().ok()
    assert shop.says() == "two"
    back = shop.push("-f", "deploy", "HEAD~1:master").ok()
    assert shop.live() == first
    assert show(shop)["pid"] == process
    assert back.sent == (0, 0)
    assert "has this version already, nothing to send" in back.err
    assert "still runs, nothing to start" in back.err
    assert "-----> Live: v3" in back.err
    forth = shop.push("deploy", "master").ok()
    assert forth.sent == (0, 0)
    assert shop.says() == "two"
    assert shop.live() == second


def test_a_version_that_has_been_stopped_is_started_again(server: Server) -> None:
    shop = server.app("older")
    for text in ("one", "two", "three"):
        shop.commit(text, hello(text))
        shop.push().ok()
    back = shop.push("-f", "deploy", "HEAD~2:master").ok()
    assert shop.says() == "one"
    assert "nothing to send" in back.err
    assert "started in" in back.err


def test_pushing_what_is_live_says_so(shop: App) -> None:
    shop.commit("First page", hello("one"))
    shop.push().ok()
    assert "Everything up-to-date" in shop.push().ok().err


# The files.


def test_the_files_are_exact(shop: App) -> None:
    files = {
        **hello("one"),
        "windows.txt": b"one\r\ntwo\r\n",
        ".gitattributes": "*.txt text eol=lf\n*.id ident\nsecret export-ignore\n*.sub export-subst\n",
        "a.id": "$Id$\n",
        "a.sub": "$Format:%H$\n",
        "secret": "not exported by git archive",
        "empty": b"",
        "bytes.bin": bytes(range(256)),
        "deep/er/and deeper/ünï": "x",
        "lib/thing.py": "VALUE = 1\n",
        "tool": "#!/bin/sh\n",
    }
    # With info/attributes of its own, or this git would already change what is committed. Before the first commit: a
    # file whose size and time the index knows is not read again by the second.
    (shop.directory / ".git" / "info").mkdir(exist_ok=True)
    (shop.directory / ".git" / "info" / "attributes").write_text("* -text -ident\n")
    shop.commit("Files", files)
    (shop.directory / "tool").chmod(0o755)
    (shop.directory / "link").symlink_to("deep/er")
    (shop.directory / "deep" / "up").symlink_to("../tool")
    commit = shop.commit("Links")
    shop.push().ok()
    assert shop.says() == "one"
    version = shop.version(commit)
    for name in files:
        assert (version / name).read_bytes() == (shop.directory / name).read_bytes(), name
        executable = bool((shop.directory / name).stat().st_mode & stat.S_IXUSR)
        assert (version / name).stat().st_mode & 0o777 == (0o555 if executable else 0o444), name
    assert os.readlink(version / "link") == "deep/er"
    assert os.readlink(version / "deep" / "up") == "../tool"
    assert tree_by_git(shop, version) == shop.git("rev-parse", f"{commit}^{{tree}}")


def test_nothing_is_added_to_them(shop: App) -> None:
    code = "from lib import thing\n" + SHOW
    commit = shop.commit("With a module", {"app.yaml": PYTHON, "hello.py": code, "lib/thing.py": ""})
    shop.push().ok()
    prefix = show(shop)["environ"]["PYTHONPYCACHEPREFIX"]
    assert list(Path(prefix).rglob("thing.*.pyc"))  # it was compiled, and elsewhere
    version = shop.version(commit)
    assert there(version) == {"app.yaml", "hello.py", "lib", "lib/thing.py"}
    assert {path.stat().st_mode & 0o222 for path in (version, *version.rglob("*"))} == {0}
    assert tree_by_git(shop, version) == shop.git("rev-parse", "HEAD^{tree}")


def there(version: Path) -> set[str]:
    return {str(path.relative_to(version)) for path in version.rglob("*")}


def tree_by_git(shop: App, version: Path) -> str:
    """The id of the tree that git itself finds in a directory."""
    index = str(shop.directory / ".git" / "other-index")
    where = ("--git-dir", str(shop.directory / ".git"), "--work-tree", str(version))
    options = ("-c", "core.autocrlf=false", "-c", "core.attributesFile=/dev/null")
    shop.git(*where, *options, "add", "-A", "-f", ".", GIT_INDEX_FILE=index)
    return shop.git(*where, "write-tree", GIT_INDEX_FILE=index)


def test_progress_is_for_terminals(shop: App) -> None:
    shop.commit("Large", {**hello("one"), "large.bin": os.urandom(20_000_000)})
    quiet = run(["git", "push", "deploy", "master"], shop.server.env, shop.directory).ok()
    assert "-----> Live" in quiet.err and "% of the files" not in quiet.err
    shop.commit("Larger", {"larger.bin": os.urandom(20_000_000)})
    assert "% of the files" in shop.push().ok().err  # with --progress
