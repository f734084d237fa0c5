"""Commands of the server, over ssh and on its own machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from .commanding import Command, command, loud, shop
from .session import App, Running, Server, eventually, hello

__all__ = ["command", "shop"]


def test_help(shop: App, command: Command) -> None:
    text = command("help").ok().out
    for name in (
        "apps",
        "ps",
        "logs",
        "releases",
        "rollback",
        "redeploy",
        "run",
        "config",
        "config:set",
        "deploys",
        "keys:add",
        "keys:list",
        "keys:remove",
    ):
        assert re.search(rf"^  {name}\b", text, re.M), name
    assert "rollback [ENVIRONMENT/]APP [vN]" in command("help", "rollback").ok().out


def test_help_of_one_command(shop: App, command: Command) -> None:
    for words in (("logs", "--help"), ("logs", "-h"), ("logs", "shop", "--help")):
        said = "usage: logs [-n N] [-f] [ENVIRONMENT/]APP\nwhat the app wrote: the last N lines; -f goes on\n"
        assert command(*words).ok().out == said
    assert (
        shop.server.ssh("run", "shop", "--help").ok().out.startswith("usage: run [--files FILES] [--timeout SECONDS] ")
    )
    assert "the following" in command("logs").err


def test_what_is_no_command_here_is_said(server: Server) -> None:
    for name, where in (
        ("create-node", "of the server's own machine"),
        ("server", "machine"),
        ("init", "for whoever writes an application"),
    ):
        done = server.ssh(name, "web3")
        assert done.status == 3
        assert where in done.err and f"write there: gitdeploy {name}" in done.err
    done = server.ssh("run", "--timeout", "long", "shop", "x")
    assert done.status == 2 and "'long' is no number of seconds; write such as 90; usage: run " in done.err
    done = server.gitdeploy()
    assert (done.status, done.err) == (2, "gitdeploy: there is no command; to see what there is: gitdeploy --help\n")


def test_apps(shop: App, command: Command) -> None:
    lines = command("apps").ok().out.splitlines()
    rows = [line.split() for line in lines if line.startswith("shop ")]
    assert lines[0].split() == ["APP", "ENVIRONMENT", "RELEASE", "COMMIT", "URL"]
    assert [row[:2] for row in rows] == [["shop", "production"], ["shop", "staging"]]
    url = f"http://shop.localhost:{shop.server.http_port}/"
    assert rows[0][-1] == url
    parsed = json.loads(command("apps", "--json").ok().out)
    [found] = [row for row in parsed if (row["app"], row["environment"]) == ("shop", "production")]
    assert (found["commit"], found["urls"]) == (shop.live(), [url])


def test_releases(shop: App, command: Command) -> None:
    rows = json.loads(command("releases", "shop", "--json").ok().out)
    assert [row["release"] for row in rows[:2]] == ["v1", "v2"]
    assert (rows[0]["subject"], rows[0]["user"], rows[0]["from"], rows[0]["deploy"]) == (
        "First page",
        "alice",
        "git push",
        "d1",
    )
    text = command("releases", "shop").ok().out
    assert re.search(r"^v1 +[0-9a-f]{7} +[0-9-]+ [0-9:]+ +alice +git push +First page$", text, re.M)
    assert [row["release"] for row in json.loads(command("releases", "staging/shop", "--json").ok().out)] == ["v1"]


def test_ps(shop: App, command: Command) -> None:
    found = json.loads(command("ps", "shop", "--json").ok().out)
    live = found["live"]["embedded"]
    [process] = [one for one in found["processes"] if live in one["serves"]]
    assert (process["type"], process["state"]) == ("web", "running")
    assert process["pid"] in shop.server.processes()
    assert f"embedded: {live} is live" in command("ps", "shop").ok().out


def test_rollback(shop: App, command: Command) -> None:
    first, second = shop.git("rev-parse", "HEAD~1", "HEAD").split()
    assert shop.says() == "two"
    assert "-----> Live: v" in command("rollback", "shop").ok().out
    assert (shop.says(), shop.live()) == ("one", first)
    command("rollback", "shop", "v2").ok()
    assert (shop.says(), shop.live()) == ("two", second)
    assert shop.get(environment="staging").text == "two"


def test_redeploy(shop: App, command: Command) -> None:
    def live() -> tuple[str, int]:
        found = json.loads(command("ps", "shop", "--json").ok().out)
        release = found["live"]["embedded"]
        [pid] = [one["pid"] for one in found["processes"] if release in one["serves"]]
        return release, pid

    before = live()
    assert "-----> Live: v" in command("redeploy", "shop").ok().out
    after = live()
    assert int(after[0][1:]) == int(before[0][1:]) + 1
    assert after[1] != before[1]
    assert shop.says() == "two"


def test_deploys(shop: App, command: Command) -> None:
    shop.commit("Plums", {"hello.py": "import plums\n"})
    assert shop.push().status != 0
    shop.git("reset", "-q", "--hard", "HEAD~1")
    rows = json.loads(command("deploys", "shop", "--json").ok().out)
    assert [rows[0]["id"], rows[0]["result"], rows[0]["release"]] == ["d1", "live", "v1"]
    last = rows[-1]
    assert (last["result"], last["user"], last["source"]) == ("refused", "alice", "git push")
    assert "No module named 'plums'" in last["error"]
    output = command("deploys", "shop", last["id"]).ok().out
    assert "Traceback (most recent call last)" in output
    assert " !     the application does not start" in output
    events = json.loads(command("deploys", "shop", last["id"], "--json").ok().out)
    assert events[0]["event"] == "begin"
    assert (events[-1]["event"], events[-1]["result"]) == ("end", "refused")
    assert command("deploys", "shop", "d999").status == 3


def test_logs(server: Server, command: Command) -> None:
    app = loud(server)
    app.get("/apples")
    app.get("/pears")
    eventually("it is in the log", lambda: "/pears" in command("logs", "loud").ok().out)
    text = command("logs", "loud").out
    assert re.search(r"^[0-9-]+T[0-9:.]+Z v1 web \| the shop is open$", text, re.M)
    assert "/apples" in text
    last = command("logs", "loud", "-n", "1").ok().out.splitlines()
    assert len(last) == 1
    assert "/pears" in last[0]


def test_logs_that_go_on(server: Server) -> None:
    app = loud(server)
    follow = Running(server.ssh_argv("logs", "loud", "-n", "0", "-f"), server.env, server.user)
    try:
        # That somebody follows shows only in what he gets.
        eventually("it goes on", lambda: app.get("/first") and "/first" in follow.seen)
        app.get("/second")
        follow.until("somebody asks for /second")
    finally:
        follow.close()
    app.get("/third")
    assert server.ssh("help").status == 0


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (("releases", "shob"), 3, "did you mean shop?"),
        (("release", "shop"), 3, "did you mean releases?"),
        (("releases", "stagin/shop"), 3, "did you mean staging?"),
        (("releases", "../../shop"), 2, "is no repository here"),
        (("releases",), 2, "usage: releases"),
        (("releases", "shop", "more"), 2, "usage: releases"),
        (("logs", "shop", "-n", "many"), 2, "'many' is no whole number; write such as 20; usage: logs"),
        (("deploys", "shop", "-n", "many"), 2, "'many' is no whole number"),
        (("clone-data", "shop"), 2, "the following arguments are required: TO/APP; usage: clone-data"),
        (("clone-data", "shop", "staging/shop", "--confirm", "shop"), 1, "and shop is not staging/shop; nothing was"),
        (("restore", "shop"), 1, "write once more whose they are: --confirm shop"),
        (("help", "create-node"), 3, "of the server's own machine, without ssh; write there: gitdeploy create-node"),
        (("help", "init"), 3, "init is for whoever writes an application, without ssh; write there: gitdeploy init"),
        (("rollback", "shop", "2"), 2, "write v2"),
        (("rollback", "shop", "v99"), 3, "has no release v99"),
        (("nodes:drain", "embedded"), 1, "to take an app out of service: maintenance:on APP"),
        (("nodes:resume", "embedded"), 1, "has no balancer before it, and gets requests all the time"),
        (("keys:add", "Bob!"), 2, "cannot be a user's name"),
        (("keys:remove", "nobody-here"), 3, "nobody-here"),
    ],
)
def test_mistakes_say_what_is_right(shop: App, command: Command, args: tuple[str, ...], status: int, says: str) -> None:
    done = command(*args, stdin=b"")
    assert says in done.err
    assert done.status == status


def test_environments_are_not_everybody_s(servers: Callable[..., Server]) -> None:
    server = servers("web: {processes: 1}\nenvironments:\n  production: {users: bob}\n  staging: {}\n")
    shop = server.app("shop")
    shop.commit("First page", hello("one"))
    with server.unchanged():
        push = shop.push()
        assert push.status != 0
        assert "alice may not push to production" in push.err
    shop.push("staging", "master").ok()
    server.ssh("releases", "staging/shop").ok()
    for word in ("releases", "logs", "ps", "redeploy", "rollback", "deploys"):
        assert server.ssh(word, "shop").status != 0, word


def test_without_a_server(servers: Callable[..., Server]) -> None:
    server = servers()
    shop = server.app("shop")
    shop.commit("First page", hello("one"))
    shop.push().ok()
    server.end()
    try:
        assert json.loads(server.gitdeploy("releases", "shop", "--json").ok().out)[0]["release"] == "v1"
        assert "shop" in server.gitdeploy("apps").ok().out
        assert "d1" in server.gitdeploy("deploys", "shop").ok().out
        assert "Live: v1" in server.gitdeploy("deploys", "shop", "d1").ok().out
        assert "rollback" in server.gitdeploy("help").ok().out
        public = server.key("key-of-bob")
        server.gitdeploy("keys:add", "bob", stdin=public.read_bytes()).ok()
        assert "bob" in server.gitdeploy("keys:list").ok().out
        for name in ("ps", "redeploy", "rollback", "logs"):
            done = server.gitdeploy(name, "shop")
            assert done.status != 0
            assert f"no server runs on {server.home}" in done.err
        assert "did you mean shop?" in server.gitdeploy("releases", "shob").err
    finally:
        server.start()
    assert shop.says() == "one"  # it brings back what was live
    assert "bob" in server.ssh("keys:list").ok().out


# What is there before there is anything.


def test_an_empty_server(servers: Callable[..., Server]) -> None:
    server = servers()
    for way in (server.ssh, server.gitdeploy):
        assert "There are no apps yet" in way("apps").ok().out
        assert json.loads(way("apps", "--json").ok().out) == []
        for name in ("ps", "logs", "releases", "rollback", "redeploy", "deploys"):
            done = way(name, "shop")
            assert (done.status, done.out) == (3, ""), (name, done.text)
            assert "there is no app 'shop'" in done.err


def test_an_environment_without_the_app(server: Server, shop: App, command: Command) -> None:
    app = server.app(f"only-here-{'ssh' if command == server.ssh else 'local'}")
    app.commit("First page", hello("one"))
    app.push().ok()
    for name in ("rollback", "redeploy"):
        done = command(name, f"staging/{app.name}")
        assert done.status == 3
        assert f"{app.name} has never been deployed to staging; push it there first" in done.err
    done = command("rollback", app.name)
    assert done.status == 3
    assert f"{app.name} has no earlier release in production" in done.err
