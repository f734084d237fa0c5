"""What happens to pushes that are under way when the server is killed or stopped; and when it cannot start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .faulty import Faulty, Keep, faulty, shop
from .session import SMALL, App, Server, eventually, hello

__all__ = ["faulty", "shop"]

STAGES = (
    "describe",
    "inspect",
    "survey",
    "stage",
    "deliver",
    "verify",
    "release",
    "boot",
    "check",
    "activate",
    "retire",
)

MOMENTS = (
    *(f"before {stage}" for stage in STAGES), "during stage", "during deliver", "during verify", "during boot", "after check",
    "yes, git too", "yes", "moved", "during activate", "after activate", "after retire",
)  # fmt: skip

COMMITTED = (
    "yes", "moved", "before activate", "during activate", "after activate", "before retire", "after retire"
)  # fmt: skip


def files_of(shop: App) -> set[str]:
    """What the home has of one app: repository, versions, releases, sockets.

    Without what an attempt may take or leave: its record, logs, caches, the copy that is kept for the next version.
    """
    mine = re.compile(rf"(.*/)?{shop.name}(\.git|-v\d+\.sock)?(/.*)?")
    return {path for path in shop.server.files() if mine.fullmatch(path) and "/.spare-" not in path}


def tree_by_git(shop: App, version: Path) -> str:
    """The id of the tree that git itself finds in a directory."""
    where = ("--git-dir", str(shop.directory / ".git"), "--work-tree", str(version))
    index = str(shop.directory / ".git" / "other-index")
    shop.git(*where, "add", "-A", "-f", ".", GIT_INDEX_FILE=index)
    return shop.git(*where, "write-tree", GIT_INDEX_FILE=index)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_that_is_killed(faulty: Faulty, shop: App, moment: str) -> None:
    server = faulty.server
    first = shop.live()
    second = shop.commit("Second page", {**hello("two"), "more.txt": "x" * 10_000})
    files = files_of(shop)
    faulty.plan(f"kill {moment}")
    push = shop.push()
    assert push.status != 0 or moment in COMMITTED
    server.gone()
    faulty.go_on()
    faulty.start()
    wanted, text = (second, "two") if moment in COMMITTED else (first, "one")
    assert (shop.live(), shop.says()) == (wanted, text)
    versions = {path for path in shop.version(first).parent.iterdir() if path.name[0] != "."}
    assert {path.name for path in versions} == ({first, second} if moment in COMMITTED else {first})
    for version in versions:
        assert tree_by_git(shop, version) == shop.git("rev-parse", f"{version.name}^{{tree}}")
    if moment in COMMITTED:
        assert shop.git("ls-remote", "deploy", "refs/releases/v2")
    else:
        assert files_of(shop) == files
    assert not list(server.home.glob(f"repositories/{shop.name}.git/objects/*tmp_*"))
    third = shop.commit("Third page", hello("three"))
    shop.push().ok()
    assert (shop.says(), shop.live()) == ("three", third)
    result = server.gitdeploy("deploys", shop.name).ok().out
    assert "under way" not in result


@pytest.mark.parametrize("moment", ["yes", "moved", "during activate", "after activate"])
def test_a_server_that_is_killed_while_another_branch_is_deployed(faulty: Faulty, shop: App, moment: str) -> None:
    server = faulty.server
    with server.settings(SMALL + "environments: {production: {branch: main}}\n"):
        second = shop.commit("Second page", hello("two"))
        faulty.plan(f"kill {moment}")
        shop.push("deploy", "master:main")
        server.gone()
        faulty.go_on()
        faulty.start()
        assert (shop.live(ref="refs/heads/main"), shop.live(), shop.says()) == (second, "", "two")
        shop.commit("Third page", hello("three"))
        shop.push("deploy", "master:main").ok()
        assert shop.says() == "three"


def test_a_server_that_is_killed_while_the_pack_is_sent(faulty: Faulty, shop: App, running: Keep) -> None:
    server, first = faulty.server, shop.live()
    shop.commit("Large", {**hello("two"), "large.bin": os.urandom(80_000_000)})
    push = running(shop.pushing())
    push.until("Writing objects:")
    server.end(signal.SIGKILL)
    assert push.wait().status != 0
    eventually("nothing of it runs", lambda: not server.processes())
    faulty.start()
    assert (shop.live(), shop.says()) == (first, "one")
    objects = server.home / "repositories" / f"{shop.name}.git" / "objects"
    assert not list(objects.rglob("*tmp*"))
    shop.push().ok()
    assert shop.says() == "two"


@pytest.mark.parametrize("moment", ["before deliver", "before check", "moved", "before activate", "before retire"])
def test_a_server_that_is_stopped(faulty: Faulty, shop: App, running: Keep, moment: str) -> None:
    server, first = faulty.server, shop.live()
    second = shop.commit("Second page", hello("two"))
    faulty.plan(f"pause {moment}")
    push = running(shop.pushing())
    faulty.wait()
    assert server.process is not None
    server.process.terminate()
    committed = moment in COMMITTED
    if committed:
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.5)  # it lets the deploy finish
        faulty.go_on()
    done = push.wait()
    server.gone()
    assert (done.status == 0) is committed, done.text
    if not committed:
        assert done.refused("the server is stopping; push again when it is back")
    faulty.go_on()
    faulty.start()
    assert (shop.live(), shop.says()) == ((second, "two") if committed else (first, "one"))


def test_a_second_server_on_one_home(faulty: Faulty, shop: App) -> None:
    server = faulty.server
    second = server.gitdeploy("server", "--ssh", "tcp:0", "--http", "tcp:0")
    assert second.status != 0
    assert "a server is running on" in second.err
    assert shop.says() == "one"


def test_settings_with_a_mistake_change_nothing(faulty: Faulty, shop: App) -> None:
    server = faulty.server
    server.reload(SMALL + "limits: {bott: 3s}\n", "the old one stays")
    assert "gitdeploy.yaml:2" in server.log.read_text()
    shop.commit("Second page", hello("two"))
    shop.push().ok()
    assert shop.says() == "two"
    server.reload(SMALL)


def test_settings_with_a_mistake_do_not_start(servers: Callable[..., Server]) -> None:
    server = servers()
    server.end()
    (server.home / "gitdeploy.yaml").write_text("limits:\n  bott: 3s\n")
    argv = [
        sys.executable,
        "-m",
        "gitdeploy",
        "server",
        "--home",
        str(server.home),
        "--ssh",
        "tcp:0",
        "--http",
        "tcp:0",
    ]
    done = subprocess.run(argv, env=server.env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "gitdeploy.yaml:2" in done.stderr
    assert "did you mean boot" in done.stderr
