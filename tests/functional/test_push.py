"""What a newcomer does: push, look, push again, go back."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from .session import HELLO, PYTHON, App, Server, hello

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


# Remotes, environments, branches.


def test_staging_is_promoted_by_sending_nothing(shop: App) -> None:
    commit = shop.commit("First page", {**hello("one"), "big.bin": os.urandom(300_000)})
    first = shop.push("staging", "master").ok()
    assert first.sent[1] > 300_000
    assert shop.get(environment="staging").text == "one"
    assert shop.get().status == 404  # no such host: production has nothing yet
    promoted = shop.push("deploy", "master").ok()
    assert promoted.sent[1] < 300
    assert shop.says() == "one"
    assert shop.live() == shop.live("staging") == commit


def test_environments_are_apart(shop: App) -> None:
    first = shop.commit("First page", hello("one"))
    shop.push().ok()
    second = shop.commit("Second page", hello("two"))
    shop.push("staging", "master").ok()
    assert (shop.says(), shop.get(environment="staging").text) == ("one", "two")
    assert (shop.live(), shop.live("staging")) == (first, second)


@pytest.mark.parametrize(
    "form", ["ssh://deploy@{host}:{port}/{name}.git", "ssh://deploy@{host}:{port}/production/{name}"]
)
def test_other_forms_of_the_remote(shop: App, form: str) -> None:
    shop.commit("First page", hello("one"))
    shop.push(form.format(host="127.0.0.1", port=shop.server.ssh_port, name=shop.name), "master").ok()
    assert shop.says() == "one"


def test_the_scp_form_of_the_remote(shop: App) -> None:
    config = shop.server.user / "ssh_config"
    config.write_text(
        f"Host server\n  HostName 127.0.0.1\n  Port {shop.server.ssh_port}\n  HostKeyAlias [127.0.0.1]:{shop.server.ssh_port}\n"
        f"Host *\n{config.read_text()}"
    )
    shop.commit("First page", hello("one"))
    shop.push(f"deploy@server:{shop.name}", "master").ok()
    shop.commit("Second page", hello("two"))
    shop.push(f"deploy@server:staging/{shop.name}.git", "master").ok()
    assert (shop.says(), shop.get(environment="staging").text) == ("one", "two")


def test_main_is_as_good_a_first_branch(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    shop.push("deploy", "master:main").ok()
    assert shop.live(ref="HEAD") == shop.live(ref="refs/heads/main") == commit
    refused = shop.push("deploy", "master:master")
    assert refused.refused("production deploys main, not master: git push deploy master:main")
    assert shop.live() == ""


def test_the_first_branch_is_master_or_main(shop: App) -> None:
    shop.commit("First page", hello("one"))
    with shop.server.unchanged():
        refused = shop.push("deploy", "master:feature")
    assert refused.refused("git push deploy feature:master")


def test_another_branch_is_refused_with_the_command_that_deploys_it(shop: App) -> None:
    shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.git("checkout", "-q", "-b", "feature")
    commit = shop.commit("A feature", hello("feature"))
    with shop.server.unchanged():
        refused = shop.push("deploy", "feature")
    assert refused.refused("git push deploy feature:master")
    assert shop.says() == "one"
    shop.push("deploy", "feature:master").ok()
    assert shop.says() == "feature"
    assert shop.live() == commit


def test_the_deployed_branch_is_not_deleted(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    shop.push().ok()
    with shop.server.unchanged():
        refused = shop.push("deploy", ":master")
    assert refused.refused("master is what is live and cannot be deleted")
    assert (shop.says(), shop.live()) == ("one", commit)


def test_tags_deploy_nothing(shop: App) -> None:
    shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.commit("Second page", hello("two"))
    shop.git("tag", "-a", "-m", "Two", "v2.0")
    push = shop.push("deploy", "v2.0").ok()
    assert "Live:" not in push.err
    assert shop.says() == "one"
    assert shop.live(ref="refs/tags/v2.0") == shop.git("rev-parse", "v2.0")
    shop.push("deploy", ":v2.0").ok()
    assert shop.live(ref="refs/tags/v2.0") == ""


def test_the_history_of_releases_can_be_fetched(shop: App) -> None:
    first = shop.commit("First page", hello("one"))
    shop.push().ok()
    second = shop.commit("Second page", hello("two"))
    shop.push().ok()
    shop.push("-f", "deploy", "HEAD~1:master").ok()
    shop.git("fetch", "-q", "deploy", "refs/releases/*:refs/releases/*")
    names = shop.git("for-each-ref", "--format=%(refname) %(objecttype) %(*objectname) %(taggername)", "refs/releases")
    assert names.splitlines() == [
        f"refs/releases/v1 tag {first} alice",
        f"refs/releases/v2 tag {second} alice",
        f"refs/releases/v3 tag {first} alice",
    ]
    text = shop.git("cat-file", "tag", "refs/releases/v3")
    assert "from: git push" in text
    assert "result: live" in text


def test_the_remote_can_be_cloned(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.git("clone", "-q", shop.git("remote", "get-url", "deploy"), str(shop.server.user / "clone"))
    assert shop.git("-C", str(shop.server.user / "clone"), "rev-parse", "HEAD", "master").split() == [commit, commit]


# What an application may be.


def test_a_static_site(shop: App) -> None:
    shop.commit("Files", {"app.yaml": "platform: static\n", "static/index.html": "<p>Hi", "static/a.css": "p {}"})
    shop.push().ok()
    assert shop.get().text == "<p>Hi"
    style = shop.get("/a.css")
    assert (style.status, style.text, style.headers["Content-Type"].partition(";")[0]) == (200, "p {}", "text/css")
    assert shop.get("/app.yaml").status == 404
    assert shop.get("/../app.yaml").status in (400, 404)
    shop.commit("Another style", {"static/a.css": "p { color: red }"})
    shop.push().ok()
    assert shop.get("/a.css").text == "p { color: red }"


def test_static_files_come_before_the_application(shop: App) -> None:
    shop.commit("Both", {**hello("the app"), "static/robots.txt": "User-agent: *"})
    shop.push().ok()
    assert shop.get("/robots.txt").text == "User-agent: *"
    assert shop.get("/humans.txt").text == "the app"


def test_a_static_file_that_has_not_changed_is_not_sent_again(shop: App) -> None:
    shop.commit("Files", {"app.yaml": "platform: static\n", "static/a.css": "p {}"})
    shop.push().ok()
    tag = shop.get("/a.css").headers["ETag"]
    again = shop.get("/a.css", headers={"If-None-Match": tag})
    assert (again.status, again.body) == (304, b"")
    shop.commit("As long as before", {"static/a.css": "q {}"})
    shop.push().ok()
    changed = shop.get("/a.css", headers={"If-None-Match": tag})
    assert (changed.status, changed.text) == (200, "q {}")


def test_what_is_injected(shop: App) -> None:
    yaml = PYTHON + "paths: vendor, lib/python\nenv:\n  COLOUR: green\n  EMPTY: ''\n"
    code = "import greeting, deeper\n" + SHOW
    files = {"app.yaml": yaml, "hello.py": code, "vendor/greeting.py": "", "lib/python/deeper.py": ""}
    commit = shop.commit("Paths", files)
    shop.push().ok()
    seen = show(shop)
    environ = seen["environ"]
    expected = {
        "APP_NAME": shop.name, "APP_ENVIRONMENT": "production", "APP_RELEASE": "v1", "APP_VERSION": commit,
        "APP_LOCATION": f"{shop.name}.localhost", "COLOUR": "green", "EMPTY": "",
    }  # fmt: skip
    assert {name: environ[name] for name in expected} == expected
    assert Path(environ["APP_LOGS"]).is_dir()
    assert Path(environ["TMPDIR"]).is_dir()
    assert not environ.keys() & {"GIT_SSH_COMMAND", "GIT_DIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"}  # nothing inherited
    version = str(shop.version(commit).resolve())
    assert os.path.realpath(seen["cwd"]) == version
    real = [os.path.realpath(path) for path in seen["path"]]
    assert real[:3] == [version, f"{version}/vendor", f"{version}/lib/python"]


def test_a_runner_instead_of_an_object(shop: App) -> None:
    runner = "import os\nTEXT = os.path.basename(__file__)\n" + (
        hello("x")["hello.py"].replace('b"x"', "TEXT.encode()")
    )
    yaml = "platform: python, wsgi\nrunner: deploy/shop-runner.py\n"
    shop.commit("A runner", {"app.yaml": yaml, "deploy/shop-runner.py": runner})
    shop.push().ok()
    assert shop.says() == "shop-runner.py"


def test_keys_that_are_not_supported_yet_are_warned_of(shop: App) -> None:
    shop.commit("Keys to come", {**hello("one"), "app.yaml": PYTHON + "version: 7\n"})
    push = shop.push().ok()
    assert "warning: app.yaml:3: version: not supported yet" in push.err


def test_a_location_of_its_own(shop: App) -> None:
    shop.commit("A location", {**hello("one"), "app.yaml": PYTHON + "locations: www.shop.example.com\n"})
    shop.push().ok()
    assert shop.server.get("www.shop.example.com").text == "one"
    other = shop.server.app(f"{shop.name}-2")
    other.commit("The same location", {**hello("two"), "app.yaml": PYTHON + "locations: www.shop.example.com\n"})
    assert other.push().refused("www.shop.example.com belongs to")


def test_the_python_that_an_application_needs(shop: App) -> None:
    shop.commit("An old one", {**hello("one"), "app.yaml": PYTHON + 'python: "<3"\n'})
    with shop.server.unchanged():
        assert shop.push().refused("the application wants python <3, the node has 3.")
    shop.commit("Any", {**hello("one"), "app.yaml": PYTHON + 'python: ">=3"\n'})
    shop.push().ok()
    assert shop.says() == "one"


def test_a_debian_package_that_is_missing(shop: App) -> None:
    shop.commit("It is here", {**hello("one"), "app.yaml": PYTHON + "deb: dpkg\n"})
    shop.push().ok()
    shop.commit("It is not", {"app.yaml": PYTHON + "deb: dpkg, no-such-thing-at-all, nor-this\n"})
    with shop.server.unchanged():
        assert shop.push().refused("apt-get install no-such-thing-at-all nor-this")
    assert shop.says() == "one"


def test_the_embedded_node_takes_no_mail_and_says_so(shop: App) -> None:
    mail = f"mail: {{tickets@{shop.name}.localhost: bin/receive}}\n"
    shop.commit("Mail", {**hello("one"), "app.yaml": PYTHON + mail})
    assert shop.push().refused("app.yaml:3: mail: there is no file bin/receive in the tree")
    shop.commit("Its command", {"bin/receive.py": "", "app.yaml": PYTHON + mail.replace("receive", "receive.py")})
    assert "embedded: it takes no mail, which only machines do" in shop.push().ok().err
    assert "takes no mail" not in shop.push("staging", "master").ok().err
    assert shop.says() == "one"
