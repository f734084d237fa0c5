"""The commands, over ssh and on the server's own machine, with and without a running server."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .client import somebody
from .session import PYTHON, App, Done, Running, Server, eventually, hello, run, slow

LOUD = """\
import sys
print("the shop is open")
def application(environ, start_response):
    print("somebody asks for", environ["PATH_INFO"], file=sys.stderr)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"loud"]
"""


@pytest.fixture(scope="module")
def shop(server: Server) -> App:
    """An app with two releases, and one in staging."""
    app = server.app("shop")
    app.commit("First page", hello("one"))
    app.push().ok()
    app.commit("Second page", hello("two"))
    app.push().ok()
    app.push("staging", "master").ok()
    return app


@pytest.fixture(params=["ssh", "local"])
def command(request: pytest.FixtureRequest, server: Server) -> Callable[..., Done]:
    """The same command, both ways."""
    return server.ssh if request.param == "ssh" else server.gitdeploy


Command = Callable[..., Done]


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


def loud(server: Server) -> App:
    """The app that writes, made when it is first asked for."""
    if (server.user / "loud").exists():
        app = App.__new__(App)
        app.server, app.name, app.directory = server, "loud", server.user / "loud"
        return app
    app = server.app("loud")
    app.commit("Loud", {"app.yaml": PYTHON, "hello.py": LOUD})
    app.push().ok()
    return app


def test_keys(server: Server, command: Command) -> None:
    public = server.key(f"key-of-{'ssh' if command == server.ssh else 'local'}")
    added = command("keys:add", "bob", stdin=public.read_bytes()).ok().out
    fingerprint = re.search(r"SHA256:\S+", added)
    assert fingerprint
    rows = json.loads(command("keys:list", "--json").ok().out)
    assert {"user": "bob", "fingerprint": fingerprint[0], "type": "ssh-ed25519", "comment": public.stem} in rows
    assert fingerprint[0] in command("keys:list").ok().out
    assert fingerprint[0] in command("keys:remove", "bob", fingerprint[0]).ok().out
    assert fingerprint[0] not in command("keys:list").ok().out
    assert command("keys:remove", "bob").status == 3


@pytest.mark.parametrize(
    "text", [b"", b"not a key\n", b"ssh-ed25519 AAAA\n", b"ssh-rsa !\n", b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\n"]
)
def test_what_is_no_key(server: Server, command: Command, text: bytes) -> None:
    before = command("keys:list").ok().out
    done = command("keys:add", "bob", stdin=text)
    assert done.status not in (0, 255)
    assert done.err.startswith("gitdeploy: ")
    assert command("keys:list").ok().out == before


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (("releases", "shob"), 3, "did you mean shop?"),
        (("release", "shop"), 3, "did you mean releases?"),
        (("releases", "stagin/shop"), 2, "did you mean staging?"),
        (("releases", "../../shop"), 2, "is no repository here"),
        (("releases",), 2, "usage: releases"),
        (("releases", "shop", "more"), 2, "usage: releases"),
        (("logs", "shop", "-n", "many"), 2, "usage: logs"),
        (("rollback", "shop", "2"), 2, "write v2"),
        (("rollback", "shop", "v99"), 3, "has no release v99"),
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
    for command in ("releases", "logs", "ps", "redeploy", "rollback", "deploys"):
        assert server.ssh(command, "shop").status != 0, command


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


# Whoever asks may go away.


@pytest.mark.parametrize("where", ["ssh", "local"])
def test_a_rollback_whose_ref_has_moved_is_finished_without_who_asked(
    server: Server, where: str, running: Callable[[Running], Running], tmp_path: Path
) -> None:
    shop, gate = server.app(f"gone-after-{where}"), tmp_path / "gate"
    gate.touch()
    first = shop.commit("First page", slow("one", gate))
    shop.push().ok()
    for text in ("two", "three"):
        shop.commit(text, hello(text))
        shop.push().ok()
    gate.unlink()
    rollback = running(asking(server, where, "rollback", shop.name, "v1"))
    agent = booting(shop, "d4")
    os.kill(agent, signal.SIGSTOP)
    try:
        gate.touch()
        eventually("the ref moves", lambda: shop.live() == first)
        rollback.interrupt(signal.SIGKILL)
        rollback.wait()
        assert server.ssh("help").ok()  # by now the server knows
    finally:
        os.kill(agent, signal.SIGCONT)
    eventually("it is live", lambda: shop.says() == "one")
    eventually("and says so", lambda: last(shop)["result"] != "under way")
    assert (last(shop)["result"], last(shop)["release"]) == ("live", "v4")


@pytest.mark.parametrize("where", ["ssh", "local"])
def test_a_rollback_is_cancelled_with_who_asked(
    server: Server, where: str, running: Callable[[Running], Running], tmp_path: Path
) -> None:
    shop, gate = server.app(f"gone-before-{where}"), tmp_path / "gate"
    gate.touch()
    shop.commit("First page", slow("one", gate))
    shop.push().ok()
    for text in ("two", "three"):
        shop.commit(text, hello(text))
        shop.push().ok()
    gate.unlink()
    before = shop.live()
    eventually("v1 has been stopped", lambda: "v1" not in releases_running(shop))
    with server.unchanged():
        rollback = running(asking(server, where, "rollback", shop.name, "v1"))
        booting(shop, "d4")
        rollback.interrupt()
        assert rollback.wait().status != 0
        eventually("it is cancelled", lambda: last(shop)["result"] == "cancelled")
    assert (shop.says(), shop.live()) == ("three", before)


def asking(server: Server, where: str, *words: str) -> Running:
    """A command under way."""
    local = [sys.executable, "-m", "gitdeploy", "--home", str(server.home), *words]
    return Running(server.ssh_argv(*words) if where == "ssh" else local, server.env, server.user)


def last(shop: App) -> dict[str, str]:
    """The latest attempt."""
    found: dict[str, str] = json.loads(shop.server.ssh("deploys", shop.name, "--json").ok().out)[-1]
    return found


def booting(shop: App, deploy: str) -> int:
    """Wait until a deploy starts the application; returns the process id of its agent on the node."""
    path = shop.server.home / "deploys" / shop.name / "production" / f"{deploy}.jsonl"
    eventually("it boots", lambda: path.exists() and '"stage": "boot"' in path.read_text())
    [agent] = [pid for pid, line in shop.server.processes().items() if "buildless.node" in line]
    return agent


def releases_running(shop: App) -> set[str]:
    """The releases that have processes."""
    found = json.loads(shop.server.ssh("ps", shop.name, "--json").ok().out)["processes"]
    return {release for one in found for release in one["serves"]}


def test_logs_end_with_the_server(servers: Callable[..., Server], running: Callable[[Running], Running]) -> None:
    server = servers()
    shop = server.app("shop")
    shop.commit("Loud", {"app.yaml": PYTHON, "hello.py": LOUD})
    shop.push().ok()
    over_ssh, here = (running(asking(server, where, "logs", "shop", "-f")) for where in ("ssh", "local"))
    for one in (over_ssh, here):
        one.until("the shop is open")
    server.end()
    done = over_ssh.wait()
    assert done.status == 1
    assert "gitdeploy: the server is stopping" in done.err
    done = here.wait()
    assert done.status == 1
    assert "gitdeploy: the server went away" in done.err


def test_logs_on_this_machine_end_with_ctrl_c(server: Server, running: Callable[[Running], Running]) -> None:
    loud(server)
    follow = running(asking(server, "local", "logs", "loud", "-f"))
    follow.until("the shop is open")
    follow.interrupt()
    done = follow.wait()
    assert done.status == 130
    assert "Traceback" not in done.text


def test_logs_have_no_control_sequences(server: Server, command: Command) -> None:
    name = f"colours-{'ssh' if command == server.ssh else 'local'}"
    app = server.app(name)
    code = 'print("\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07\\x9bend")\n' + hello("one")["hello.py"]
    app.commit("Colours", {"app.yaml": PYTHON, "hello.py": code})
    app.push().ok()
    lines = command("logs", name).ok().out.splitlines()
    assert any(line.endswith(" | red end") for line in lines), lines


# Keys.


def test_a_key_has_one_owner(server: Server, command: Command) -> None:
    done = command("keys:add", "eve", stdin=(server.user / "key.pub").read_bytes())
    assert done.status == 2
    assert "is alice's key already" in done.err
    assert "eve" not in command("keys:list").ok().out


def test_several_keys_at_once(server: Server, command: Command) -> None:
    name = f"many-{'ssh' if command == server.ssh else 'local'}"
    text = b"# two keys\n\n" + b"".join(server.key(f"{name}-{number}").read_bytes() for number in (1, 2))
    assert len(command("keys:add", name, stdin=text).ok().out.splitlines()) == 2
    assert len(command("keys:remove", name).ok().out.splitlines()) == 2
    assert name not in command("keys:list").ok().out


def test_a_weak_key_is_not_taken(server: Server, command: Command) -> None:
    weak = server.user / f"weak-{'ssh' if command == server.ssh else 'local'}"
    run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(weak)], server.env, server.user).ok()
    done = command("keys:add", "weak", stdin=weak.with_suffix(".pub").read_bytes())
    assert done.status == 2
    assert "a ssh-rsa key of 1024 bits is too weak" in done.err


def test_keys_of_others_are_for_admins(servers: Callable[..., Server]) -> None:
    server = servers("web: {processes: 1}\nadmins: alice\n")
    bob, other, third = somebody(server, "bob").let_in(), server.key("other"), server.key("third")
    for words in (("keys:add", "carol"), ("keys:add", "alice"), ("keys:remove", "alice")):
        refused = bob.ssh(*words, stdin=other.read_bytes())
        assert refused.status == 1, refused.text
        assert "bob may change no keys but his own" in refused.err
    assert [row["user"] for row in json.loads(server.ssh("keys:list", "--json").ok().out)] == ["alice", "bob"]
    bob.ssh("keys:add", "bob", stdin=other.read_bytes()).ok()
    server.ssh("keys:add", "carol", stdin=third.read_bytes()).ok()
    server.ssh("keys:remove", "bob").ok()
    assert bob.ssh("help").status == 255


# What is there before there is anything.


def test_an_empty_server(servers: Callable[..., Server]) -> None:
    server = servers()
    for command in (server.ssh, server.gitdeploy):
        assert "There are no apps yet" in command("apps").ok().out
        assert json.loads(command("apps", "--json").ok().out) == []
        for name in ("ps", "logs", "releases", "rollback", "redeploy", "deploys"):
            done = command(name, "shop")
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


def test_a_file_of_keys_with_mistakes_locks_nobody_out(server: Server) -> None:
    dave = somebody(server, "dave").let_in()
    path = server.home / "keys" / "dave"
    path.write_text("ssh-ed25519 AAAA cut off\nnonsense\n" + path.read_text())
    assert "Hello dave" in dave.ssh().err
    assert server.ssh("help").ok()
    assert "dave" in server.gitdeploy("keys:list").ok().out
