"""A configuration of an application's own: from its template to the environment, checked, injected, and kept through a rollback."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile

import pytest

from .session import PYTHON, App, Server, run

SHOW = """\
import os
def text():
    top = os.environ.get("APP_CONFIG")
    return open(os.path.join(top, "colour")).read() if top else "none"
def check():
    if text() == "ugly\\n":
        print("nobody likes that colour")
        return False
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text().encode()]
"""
YAML = PYTHON + "config: {%s}\n"
FILES = {"hello.py": SHOW, "conf/colour": "from the template\n", "conf/more/deep": "x\n"}


def archive(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.fixture(scope="module")
def shop(server: Server) -> App:
    app = server.app("configured")
    app.commit("Wants one", {**FILES, "app.yaml": YAML % "required: yes, template: conf, checker: hello:check"})
    return app


def test_from_the_template_to_the_environment(shop: App) -> None:
    server = shop.server
    assert shop.push().refused("it needs a configuration in production; gitdeploy create-config conf")
    said = run([sys.executable, "-m", "gitdeploy", "create-config", "../mine"], server.env, shop.directory).ok()
    assert "config:put configured" in said.out
    mine = shop.directory.parent / "mine"
    assert (mine / "more" / "deep").read_text() == "x\n"
    again = run([sys.executable, "-m", "gitdeploy", "create-config", "../mine"], server.env, shop.directory)
    assert (again.status, again.err) == (1, "gitdeploy: '../mine' is there already, and not empty; name another one\n")
    (shop.directory.parent / "empty").mkdir()
    run([sys.executable, "-m", "gitdeploy", "create-config", "../empty"], server.env, shop.directory).ok()
    (mine / "colour").write_text("green\n")
    argv = ["tar", "-C", str(mine), "-c", "."]
    tar = subprocess.run(argv, capture_output=True, check=True, timeout=30).stdout
    assert "it counts from the first push on" in server.ssh("config:put", "configured", stdin=tar).ok().out
    shop.push().ok()
    assert shop.says() == "green\n"
    assert "so already" in server.ssh("config:put", "configured", stdin=tar).ok().out


def test_a_change_is_a_release_that_is_checked(shop: App) -> None:
    server = shop.server
    refused = server.ssh("config:put", "configured", stdin=archive({"colour": "ugly\n"}))
    assert refused.status == 1
    assert "the checker of its configuration: hello:check ended with exit code 1" in refused.text
    assert "nobody likes that colour" in refused.text
    assert shop.says() == "green\n"
    said = server.gitdeploy("config:put", "configured", stdin=archive({"colour": "blue\n"})).ok()
    assert "with another configuration by" in said.out
    assert shop.says() == "blue\n"
    server.ssh("config:set", "configured", "A=1").ok()
    assert shop.says() == "blue\n"
    with server_archive(server) as tar:
        assert tar.getnames() == ["colour"]
        assert (file := tar.extractfile("colour")) is not None and file.read() == b"blue\n"
    assert shop.push("staging", "master").refused("it needs a configuration in staging")


CHECK = """\
#!/bin/sh
read colour < "$APP_CONFIG/colour"
echo "it is $colour"
[ "$colour" != ugly ]
"""


def test_the_checker_may_be_a_program_of_the_tree(server: Server) -> None:
    app = server.app("looked-at")
    files = {**FILES, "app.yaml": YAML % "default: conf, checker: bin/check", "bin/check": CHECK}
    app.commit("Not executable", files)
    assert app.push().refused("app.yaml:3: config: bin/check is no program; make it one: chmod +x bin/check")
    app.git("update-index", "--chmod=+x", "bin/check")
    app.git("commit", "--quiet", "--message", "Executable")
    assert "it is from the template" in app.push().ok().err
    refused = server.ssh("config:put", "looked-at", stdin=archive({"colour": "ugly\n"}))
    assert "the checker of its configuration: bin/check ended with exit code 1" in refused.text


def server_archive(server: Server) -> tarfile.TarFile:
    argv = server.ssh_argv("config:take", "configured")
    done = subprocess.run(argv, env=server.env, capture_output=True, check=True, timeout=60)
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


def test_the_default_of_the_tree_counts_where_there_is_none(server: Server) -> None:
    app = server.app("defaulted")
    app.commit("Has a default", {**FILES, "app.yaml": YAML % "default: conf"})
    app.push().ok()
    assert app.says() == "from the template\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"no archive",
            "gitdeploy: that is no tar archive, or not all of one; write: tar -C DIR -c . | ssh ... config:put",
        ),
        (gzip.compress(archive({"colour": "x"}))[:60], "that is no tar archive, or not all of one"),
        (archive({"colour": "x" * 5000})[:2000], "that is no tar archive, or not all of one"),
        (b"", "gitdeploy: nothing came on standard input; write: tar -C DIR -c . | ssh ... config:put APP"),
        (archive({"../colour": "x"}), "is no path below the top of the tree"),
        (archive({"colour": "x" * 1_100_000}), "the files have more than 1,000,000 bytes"),
    ],
)
def test_what_is_no_configuration(shop: App, content: bytes, says: str) -> None:
    refused = shop.server.ssh("config:put", "configured", stdin=content)
    assert refused.status == 2
    assert says in refused.err and len(refused.err.splitlines()) == 1
