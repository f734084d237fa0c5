"""What an application may be, and what it is given."""

from __future__ import annotations

import os
from pathlib import Path

from .session import PYTHON, App, hello
from .test_push import SHOW, show


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
