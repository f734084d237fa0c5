"""Config vars: set and unset over ssh, deployed as a push is, kept through whatever comes next."""

from __future__ import annotations

import json
import re
import signal

import pytest

from .session import PYTHON, App, Server, eventually

SHOWS = """\
import os
if os.environ.get("BROKEN"):
    raise RuntimeError("cannot work with " + os.environ["BROKEN"])
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("COLOUR", "none").encode()]
"""


@pytest.fixture(scope="module")
def shop(server: Server) -> App:
    app = server.app("shop")
    app.commit("Shows its colour", {"app.yaml": PYTHON + "env: {COLOUR: from app.yaml}\n", "hello.py": SHOWS})
    app.push().ok()
    app.push("staging", "master").ok()
    return app


def release(shop: App) -> str:
    return re.findall(r"^(v\d+) ", shop.server.ssh("releases", "shop").ok().out, re.M)[-1]


def test_a_change_is_a_release(shop: App) -> None:
    server = shop.server
    assert shop.says() == "from app.yaml"
    assert "shop has no config vars" in server.ssh("config", "shop").ok().out
    said = server.ssh("config:set", "shop", "'COLOUR=a warm red'", "OTHER=x").ok()
    assert "with another configuration by alice" in said.out
    assert "started in" in said.out
    assert shop.says() == "a warm red"
    assert shop.get(environment="staging").text == "from app.yaml"
    assert server.ssh("config", "shop").ok().out == "COLOUR='a warm red'\nOTHER=x\n"
    assert json.loads(server.ssh("config", "--json", "shop").ok().out) == {"COLOUR": "a warm red", "OTHER": "x"}
    assert server.ssh("config:get", "shop", "COLOUR").ok().out == "a warm red\n"
    before = release(shop)
    assert "so already" in server.ssh("config:set", "shop", "OTHER=x").ok().out
    assert release(shop) == before
    server.ssh("config:unset", "shop", "COLOUR", "OTHER").ok()
    assert shop.says() == "from app.yaml"
    assert server.ssh("config:unset", "shop", "COLOUR").status == 3


def test_a_value_may_have_lines(shop: App) -> None:
    shop.server.ssh("config:set", "shop", "COLOUR", stdin=b"one\ntwo\n").ok()
    assert shop.says() == "one\ntwo"
    shop.server.gitdeploy("config:set", "shop", "COLOUR", stdin=b"three\n").ok()
    assert shop.says() == "three"


def test_a_change_that_does_not_work_does_not_count(shop: App) -> None:
    server = shop.server
    server.ssh("config:set", "shop", "COLOUR=before").ok()
    refs = server.refs()
    refused = server.ssh("config:set", "shop", "COLOUR=after", "BROKEN=secret-word")
    assert refused.status == 1
    assert server.refs() == refs
    assert "cannot work with [BROKEN]" in refused.text
    assert "secret-word" not in refused.text
    assert shop.says() == "before"
    assert server.ssh("config", "shop").ok().out == "COLOUR=before\n"
    assert "secret-word" not in server.ssh("deploys", "shop", "-n", "1").ok().out


def test_rollbacks_pushes_and_restarts_keep_them(shop: App) -> None:
    server = shop.server
    server.ssh("config:set", "shop", "COLOUR=blue").ok()
    shop.commit("Something else", {"README": "x"})
    shop.push().ok()
    assert shop.says() == "blue"
    server.ssh("rollback", "shop").ok()
    assert shop.says() == "blue"
    server.end(signal.SIGKILL)
    server.start()
    assert shop.says() == "blue"
    assert server.gitdeploy("config:get", "shop", "COLOUR").ok().out == "blue\n"


def test_they_may_be_there_before_the_first_push(server: Server) -> None:
    app = server.app("later")
    for words in (("config", "later"), ("config:get", "later", "COLOUR"), ("config:unset", "later", "COLOUR")):
        done = server.ssh(*words)
        assert done.status == 3 and "there is no app later yet, and nothing is set for it; before its first" in done.err
        assert "push write: config:set later NAME=VALUE" in done.err
    done = server.ssh("config:take", "later")
    assert done.status == 3 and "there is no app later yet" in done.err and "config:put APP" in done.err
    said = server.ssh("config:set", "later", "COLOUR=early").ok().out
    assert said == "Set COLOUR; there is no app later yet: it counts from the first push on\n"
    assert server.ssh("config", "later").ok().out == "COLOUR=early\n"
    app.commit("Shows its colour", {"app.yaml": PYTHON, "hello.py": "x = \n"})
    app.push().refused("SyntaxError")
    app.commit("Shows its colour", {"hello.py": SHOWS})
    app.push().ok()
    assert app.says() == "early"


def test_nobody_can_fetch_them(shop: App) -> None:
    server = shop.server
    server.ssh("config:set", "shop", "COLOUR=hidden").ok()
    for name in ("config/shop", "../config/shop", "shop.git/../../config/shop"):
        shop.git("remote", "add", "other", f"ssh://deploy@127.0.0.1:{server.ssh_port}/{name}")
        assert server.ssh("git-upload-pack", f"/{name}").status != 0
        shop.git("remote", "remove", "other")
    head = (server.home / "config" / "shop.git" / "refs" / "heads" / "production").read_text().strip()
    assert head not in server.ssh("git-receive-pack", "/shop", stdin=b"0000").text


def test_what_a_push_says_masks_them(shop: App) -> None:
    shop.server.ssh("config:set", "shop", "COLOUR=tell-nobody").ok()
    shop.commit("Tells", {"hello.py": SHOWS + "raise RuntimeError(os.environ['COLOUR'])\n"})
    refused = shop.push()
    assert refused.refused("[COLOUR]")
    assert "tell-nobody" not in refused.text
    shop.git("reset", "-q", "--hard", "HEAD^")


def test_a_server_that_is_killed_finishes_a_change_that_counts(server: Server) -> None:
    app = server.app("killed")
    app.commit("Shows its colour", {"app.yaml": PYTHON, "hello.py": SHOWS})
    app.push().ok()
    server.ssh("config:set", "killed", "COLOUR=one").ok()
    live = server.home / "node" / "srv" / "apps" / "killed" / "live"
    before = live.readlink()
    server.ssh("config:set", "killed", "COLOUR=two").ok()
    server.end(signal.SIGKILL)
    live.unlink()
    live.symlink_to(before)  # as it was between the commit point and the switch, with nothing on record
    record = "refs/namespaces/production/refs/releases/v3"
    app.git("--git-dir", str(server.home / "repositories" / "killed.git"), "update-ref", "-d", record)
    server.start()
    eventually("the change is live", lambda: app.get().text == "two")
