"""One-off commands on machines: as the app's own user, as cut off as its services, and gone with the one who asked."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buildless.lifecycle import HELD

from ..functional.client import alice
from ..functional.session import App, Running, Server, hello
from ..functional.terminal import Terminal
from ..functional.test_run import COUNT, MANY, READ, SHOW, SIZE, digest, talk, there
from .machines import Node, eventually
from .test_isolation import BURGLAR
from .visitor import says

TRY = """\
import json, os, pwd
import hello
user = pwd.getpwuid(os.getuid()).pw_name
allowed = {name: hello.result(attempt) for name, attempt in hello.ALLOWED.items()}
print(json.dumps([user, {name: hello.result(attempt) for name, attempt in hello.ATTEMPTS.items()}, allowed]))
"""
WAIT = """\
import subprocess, time
child = subprocess.Popen(["sleep", "%d"])
print("waiting", flush=True)
time.sleep(600)
"""
WHO = """\
import os, pwd, sys, time
found = os.stat(sys.argv[1])
print(pwd.getpwuid(found.st_uid).pw_name, oct(found.st_mode), os.access(sys.argv[1], os.W_OK), flush=True)
time.sleep(float(sys.argv[2]))
"""
HELD_MEANWHILE = """\
import sys
sys.path.append("/usr/lib/gitdeploy")
from pathlib import Path
from buildless.errors import NodeError
from buildless.node import confined, oneoff
from buildless.node.layout import Layout

home = Layout(Path("/")).app(sys.argv[1])

def let_in(home, asked):
    let_in_before(home, asked)
    if sys.argv[2:]:
        home.held.touch()

def run():
    words = ["bash", "-c", "echo it runs"]
    return confined.run(home.node, home.name, python="/usr/bin/python3", words=words, terminal=None, timeout=9).run()

let_in_before, oneoff.let_in = oneoff.let_in, let_in
try:
    print("exit status", run(), flush=True)
    print("exit status", run(), flush=True)
except NodeError as error:
    print(error)
finally:
    home.held.unlink(missing_ok=True)
"""
"""Two commands; with an argument nobody is let in any more just after the first has been found to be let in."""
SIZE_OF_ALL = ("User", "Group", "UMask", "MemoryMax", "OOMPolicy", "KillMode")


@pytest.fixture(scope="module")
def app(server: Server) -> App:
    made = server.app("toolbox")
    made.commit("Commands", {
        **hello("one"), "bin/show.py": SHOW, "bin/count.py": COUNT, "bin/many.py": MANY, "bin/size.py": SIZE,
        "bin/read.py": READ, "bin/who.py": WHO,
        "bin/sort.sh": "echo '$HOME' \"$1\" \"$2\"; kill -9 $$\n",
        **{f"bin/wait{number}.py": WAIT % number for number in (4001, 4002, 4003)},
    })  # fmt: skip
    made.push().ok()
    made.push("staging", "master").ok()
    return made


@pytest.fixture
def terminal(server: Server) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def open_one(*words: str) -> Terminal:
        made.append(Terminal(alice(server).argv(*words, options=["-t"]), {**server.env, "TERM": "xterm-256color"}))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def units(node: Node) -> list[str]:
    """The services of one-off commands on a node."""
    said = node.ssh("systemctl", "list-units", "--all", "--plain", "--no-legend", "app-*-run@*")
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def sleeps(node: Node, seconds: int) -> bool:
    return bool(node.ssh("pgrep", "-f", f"sleep {seconds}", check=False).strip())


def lose_who_sends(
    server: Server, app: App, nodes: list[Node], running: Callable[[Running], Running], option: str, number: int
) -> None:
    """Kill somebody's ssh while megabytes wait for a command that reads nothing, but sleeps so many seconds: it ends before."""
    argv = alice(server).argv("run", app.name, "sleep", str(number), options=[option])
    with tempfile.TemporaryFile() as file:
        file.write(b"plums\n" * 4_000_000)
        file.seek(0)
        one = running(Running(argv, server.env, server.user, file.fileno()))
        eventually("it runs", lambda: any(sleeps(node, number) for node in nodes))
        eventually("much has been sent", lambda: os.lseek(file.fileno(), 0, os.SEEK_CUR) > 1 << 20)
        one.interrupt(signal.SIGKILL)
    eventually("nothing of it is left", lambda: not any(sleeps(node, number) or units(node) for node in nodes))


def test_the_environment_the_streams_and_the_exit_status(server: Server, app: App, web: list[Node]) -> None:
    person = alice(server)
    done = person.ssh("run", "toolbox", "bin/show.py", "'a  b'", "'$HOME'", "'%i'")
    assert done.status == 7
    assert done.out == "['a  b', '$HOME', '%i'] s/toolbox production v1\n64 False False\n"
    assert done.err == "to stderr\n"
    data = bytes(range(256)) * 20_000
    assert person.ssh("run", "toolbox", "bin/count.py", stdin=data).ok().out == f"{len(data)} {sum(data) % 251}\n"
    assert person.ssh("run", "toolbox", "bin/many.py").ok().out.endswith("plum 199999\n")
    assert person.ssh("run", "toolbox", "/").ok().out == "one\n"
    assert person.ssh("run", "staging/toolbox", "bin/show.py").out.startswith("[] x.staging staging v1\n")
    killed = person.ssh("run", "toolbox", "bin/sort.sh", "'*'", "'${HOME}'")
    assert killed.out == "$HOME * ${HOME}\n" and killed.status != 0
    nothing = person.ssh("run", "toolbox", "bin/nothing.py")
    assert nothing.status == 127 and "there is no such file in the tree" in nothing.err
    assert [unit for node in web for unit in units(node)] == []


def test_it_may_no_more_than_the_app_itself(server: Server, app: App, web: list[Node]) -> None:
    burglar = server.app("handyman")
    burglar.commit("Try it", {
        **hello(""), "hello.py": BURGLAR % (app.name, burglar.name), "static/a.txt": "a", "bin/try.py": TRY,
    })  # fmt: skip
    burglar.push().ok()
    user, tried, allowed = json.loads(alice(server).ssh("run", "handyman", "bin/try.py").ok().out)
    assert user == "app-handyman"
    refusals = {"PermissionError", "FileNotFoundError", "OSError", "RuntimeError", "IndexError"}
    assert {name: text for name, text in tried.items() if text not in refusals} == {}
    assert set(allowed.values()) == {"done: None"}


def test_its_service_is_as_the_apps_own(
    server: Server, app: App, web: list[Node], running: Callable[[Running], Running]
) -> None:
    templates = Path(__file__).parents[2] / "buildless/node/templates"
    text = "".join((templates / f"{name}.jinja").read_text() for name in ("closed", "hardened"))
    names = [line.partition("=")[0] for line in text.splitlines() if "=" in line and line[0] not in "#{"]
    one = running(alice(server).start("run", "toolbox", "bin/wait4001.py"))
    one.until("waiting")
    [(node, unit)] = [(node, unit) for node in web for unit in units(node)]
    says(node, app)
    asked = ("systemctl", "show", *(f"--property={name}" for name in (*names, *SIZE_OF_ALL)), "--")
    shown = {name: node.ssh(*asked, name) for name in (unit, "app-toolbox-web@v1.service")}
    assert "ProtectSystem=strict" in shown[unit] and "User=app-toolbox" in shown[unit]
    assert shown[unit] == shown["app-toolbox-web@v1.service"]
    one.interrupt()
    eventually("it is gone", lambda: not units(node))


@pytest.mark.parametrize(("way", "number"), [("Ctrl-C", 4002), ("lost", 4003)])
def test_it_ends_with_the_one_who_asked(
    server: Server, app: App, web: list[Node], running: Callable[[Running], Running], way: str, number: int
) -> None:
    one = running(alice(server).start("run", "toolbox", f"bin/wait{number}.py"))
    one.until("waiting")
    assert any(sleeps(node, number) for node in web)
    one.interrupt(signal.SIGINT if way == "Ctrl-C" else signal.SIGKILL)
    eventually("nothing of it is left", lambda: not any(sleeps(node, number) or units(node) for node in web))


@pytest.mark.parametrize(("option", "number"), [("-T", 4004), ("-tt", 4005)])
def test_it_ends_so_even_if_it_reads_nothing(
    server: Server, app: App, web: list[Node], running: Callable[[Running], Running], option: str, number: int
) -> None:
    lose_who_sends(server, app, web, running, option, number)


def test_its_time_is_limited(server: Server, app: App, web: list[Node]) -> None:
    done = alice(server).ssh("run", "--timeout", "2", "toolbox", "bin/wait4001.py")
    assert done.status == 124 and "it did not end within 2 s" in done.err
    assert not any(sleeps(node, 4001) or units(node) for node in web)


def sent(web: list[Node]) -> list[str]:
    """The directories of files that somebody sent."""
    find = ("find", "/var/cache/apps", "-maxdepth", "2", "-name", "*run-*")
    return [line for node in web for line in node.ssh(*find).splitlines()]


def test_files_that_are_arguments_are_sent_along(server: Server, app: App, web: list[Node], tmp_path: Path) -> None:
    names = [
        "two  words.csv",
        "it's $HOME.csv",
        "line\nline %i.csv",
        "-x",
        b"\xff.csv".decode(errors="surrogateescape"),
    ]
    data = bytes(range(256)) * 4000
    for name in names:
        (app.directory / name).write_bytes(data)
    (tmp_path / "-x").write_bytes(b"another")
    done = there(app, "bin/read.py", *names, f"--from={tmp_path}/-x", stdin=b"typed")
    assert done.status == 9, done.text
    *lines, last = done.out.splitlines()
    said = [["", name, digest(data), len(data)] for name in names]
    assert lines == [str(one) for one in [*said, ["--from=", "-x", digest(b"another"), 7]]]
    assert last == f"{len(names) + 1} typed"
    eventually("nothing of them is left", lambda: not sent(web))


def test_files_are_the_apps_and_go_with_a_lost_connection(
    server: Server, app: App, web: list[Node], running: Callable[[Running], Running], tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("plums")
    (tmp_path / "a.csv").chmod(0o400)
    argv = [
        sys.executable,
        "-m",
        "gitdeploy",
        "run",
        "--remote",
        "deploy",
        "bin/who.py",
        str(tmp_path / "a.csv"),
        "600",
    ]
    one = running(Running(argv, server.env, app.directory))
    one.until("app-toolbox 0o100600 True")
    [directory] = sent(web)
    [node] = [node for node in web if units(node)]
    assert node.ssh("stat", "--format=%U %a", directory).strip() == "app-toolbox 750"
    one.interrupt(signal.SIGKILL)
    eventually("nothing of it is left", lambda: not sent(web) and not any(units(node) for node in web))


def test_files_that_are_on_their_way_go_too(
    server: Server, app: App, web: list[Node], running: Callable[[Running], Running], tmp_path: Path
) -> None:
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(1 << 40)
    argv = [
        sys.executable,
        "-m",
        "gitdeploy",
        "run",
        "--remote",
        "deploy",
        "bin/who.py",
        str(tmp_path / "endless"),
        "0",
    ]
    one = running(Running(argv, server.env, app.directory))
    eventually("they are on their way", lambda: sent(web))
    one.interrupt(signal.SIGKILL)
    eventually("nothing of them is left", lambda: not sent(web))


def test_a_terminal_with_files(server: Server, app: App, web: list[Node], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("plums")
    argv = [sys.executable, "-m", "gitdeploy", "run", "--remote", "deploy", "bin/size.py", str(tmp_path / "a.csv")]
    one = Terminal(argv, {**server.env, "TERM": "xterm-256color"}, app.directory)
    try:
        talk(one)
    finally:
        one.close()
    eventually("nothing of them is left", lambda: not sent(web))


def test_a_terminal(server: Server, app: App, web: list[Node], terminal: Callable[..., Terminal]) -> None:
    one = terminal("run", "toolbox", "bin/size.py")
    talk(one)
    assert [unit for node in web for unit in units(node)] == []


def test_another_node_runs_it_while_one_is_away(server: Server, app: App, web: list[Node]) -> None:
    web[0].cut()
    try:
        eventually("it is noticed", lambda: "down" in server.ssh("nodes").ok().out)
        assert alice(server).ssh("run", "toolbox", "/").ok().out == "one\n"
    finally:
        web[0].mend()


def test_no_command_begins_while_nobody_is_let_in(app: App, web: list[Node]) -> None:
    asked = ("python3", "-c", HELD_MEANWHILE, app.name)
    assert web[0].ssh(*asked) == "it runs\nexit status 0\n" * 2
    found = web[0].ssh("sh", "-c", 'python3 -c "$1" "$2" held 2>&1', "sh", *asked[2:]).splitlines()
    assert found == [f"gitdeploy: {HELD}", "exit status 1", HELD]
    assert not [unit for unit in units(web[0]) if app.name in unit]
