"""What happens to a push while it is under way: others, Ctrl-C, a server that is killed or stopped, a disk that is full."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import fresh
from .session import SMALL, App, Running, Server, eventually, hello, slow

ROOT = Path(__file__).parents[2]
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

Keep = Callable[[Running], Running]


class Faulty:
    """A server that runs through `faults`, and what is to happen to it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.fault, self.reached = server.top / "fault", server.top / "reached"

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), self.server.env.get("PYTHONPATH", "")])
        self.server.start("tests.functional.faults", FAULT=str(self.fault), PYTHONPATH=path)

    def plan(self, what: str) -> None:
        new = self.fault.with_name("fault.new")
        new.write_text(what)
        new.rename(self.fault)
        self.reached.unlink(missing_ok=True)

    def wait(self) -> None:
        """Until the moment of a pause."""
        eventually("the moment is there", self.reached.exists, 30)

    def go_on(self) -> None:
        self.fault.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def faulty(servers: Callable[..., Server]) -> Faulty:
    found = Faulty(servers())
    found.server.end()
    found.start()
    return found


@pytest.fixture
def shop(faulty: Faulty, request: pytest.FixtureRequest) -> Iterator[App]:
    """An app whose first release answers ``one``."""
    if faulty.server.process is None or faulty.server.process.poll() is not None:
        faulty.server.forget()
        faulty.start()
    app = faulty.server.app(fresh(faulty.server, "shop"))
    app.commit("First page", hello("one"))
    app.push().ok()
    yield app
    faulty.go_on()


# Others.


def test_the_second_of_two_pushes_waits(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-waits"
    shop.commit("Second page", slow("two", gate))
    first = running(shop.pushing())
    first.until("1 file sent")
    second = running(shop.pushing())
    second.until("-----> Waiting for the deploy of alice")
    gate.touch()
    first.wait().ok()
    done = second.wait()
    # Both said that they replace the first page, so the second has lost.
    assert done.status != 0
    assert "which you would replace" in done.err
    assert shop.says() == "two"


def test_one_that_waited_goes_on_where_the_first_was_refused(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-refused"
    files = slow("x", gate)
    shop.commit("It breaks", {**files, "hello.py": files["hello.py"] + "import plums\n"})
    first = running(shop.pushing())
    first.until("1 file sent")
    third = shop.commit("It is mended", hello("three"))
    second = running(shop.pushing())
    second.until("-----> Waiting for the deploy of alice")
    gate.touch()
    assert first.wait().status != 0
    second.wait().ok()
    assert (shop.says(), shop.live()) == ("three", third)


def test_different_apps_go_side_by_side(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-side"
    shop.commit("Second page", slow("two", gate))
    held = running(shop.pushing())
    held.until("1 file sent")
    other = shop.server.app(f"{shop.name}-other")
    other.commit("First page", hello("other"))
    other.push().ok()
    assert other.says() == "other"
    shop.push("staging", "HEAD~1:refs/heads/master").ok()  # another environment of the same app
    assert held.process.poll() is None
    gate.touch()
    held.wait().ok()
    assert shop.says() == "two"


def test_a_pusher_who_does_not_read_holds_up_nobody(shop: App, running: Keep) -> None:
    loud = "import sys\nfor _ in range(2000): print('x' * 1000)\nsys.exit('enough')\n"
    gate = shop.directory.parent / "gate-loud"
    files = slow("x", gate)
    shop.commit("Loud", {**files, "hello.py": files["hello.py"].partition("def")[0] + loud})
    held = running(shop.pushing())
    held.until("1 file sent")
    held.interrupt(signal.SIGSTOP)
    gate.touch()
    other = shop.server.app(f"{shop.name}-quiet")
    other.commit("First page", hello("other"))
    other.push().ok()
    assert other.says() == "other"
    held.interrupt(signal.SIGCONT)
    assert held.wait().refused("the application does not start")
    assert shop.says() == "one"


# A pusher who goes away.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_cancels_and_cleans_up(shop: App, running: Keep, number: int) -> None:
    before = shop.live()
    shop.commit("Second page", slow("two", shop.directory.parent / "never"))
    with shop.server.unchanged():
        push = running(shop.pushing())
        push.until("1 file sent")
        held = shop.server.processes()
        push.interrupt(number)
        began = time.monotonic()
        push.wait()
        eventually("all is cleaned up", lambda: "cancelled" in shop.server.gitdeploy("deploys", shop.name).out)
        assert time.monotonic() - began < 2.5  # a second, and what it takes to ask
        assert held
    assert (shop.live(), shop.says()) == (before, "one")
    shop.commit("Third page", hello("three"))
    shop.push().ok()
    assert shop.says() == "three"


def test_ctrl_c_while_the_pack_is_sent(shop: App, running: Keep) -> None:
    before = shop.live()
    shop.commit("Large", {"large.bin": os.urandom(80_000_000)})
    with shop.server.unchanged():
        push = running(shop.pushing())
        push.until("Writing objects:")
        push.interrupt()
        push.wait()
    assert (shop.live(), shop.says()) == (before, "one")


def test_ctrl_c_while_it_waits_its_turn(shop: App, running: Keep) -> None:
    gate = shop.directory.parent / "gate-turn"
    commit = shop.commit("Second page", slow("two", gate))
    first = running(shop.pushing())
    first.until("1 file sent")
    second = running(shop.pushing())
    second.until("-----> Waiting for the deploy of alice")
    second.interrupt()
    second.wait()
    gate.touch()
    first.wait().ok()
    assert (shop.says(), shop.live()) == ("two", commit)
    shop.commit("Third page", hello("three"))
    shop.push().ok()


@pytest.mark.parametrize("moment", ["moved", "before activate", "before retire"])
def test_after_the_commit_point_it_completes_without_the_pusher(
    faulty: Faulty, shop: App, running: Keep, moment: str
) -> None:
    commit = shop.commit("Second page", hello("two"))
    faulty.plan(f"pause {moment}")
    push = running(shop.pushing())
    faulty.wait()
    push.interrupt(signal.SIGKILL)
    push.wait()
    faulty.go_on()
    eventually("it is live", lambda: "v2" in shop.server.gitdeploy("releases", shop.name).out)
    assert (shop.says(), shop.live()) == ("two", commit)


# A server that goes away.


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
    second = subprocess.run(argv, env=server.env, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode != 0
    assert "a server is running on" in second.stderr
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


# A disk that is full.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 90 MB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=90m", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, timeout=20, check=False).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], timeout=20, check=True)


@pytest.mark.parametrize("megabytes", [100, 45, 30, 20])
def test_a_full_disk_is_a_refusal(small_disk: Path, servers: Callable[..., Server], megabytes: int) -> None:
    """100 do not fit at all, 45 not twice, 30 not three times, 20 not with what must stay free: see `stages.SPARE_BYTES`."""
    server = servers(SMALL, small_disk)
    shop = server.app("shop")
    first = shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.commit("Large", {**hello("two"), "large.bin": os.urandom(megabytes * 1_000_000)})
    with server.unchanged():
        push = shop.push()
        assert push.status != 0
        assert "[remote rejected]" in push.err, push.err
        assert (shop.live(), shop.says()) == (first, "one")
    third = shop.commit("Small again", {**hello("three"), "large.bin": ""})
    shop.git("reset", "-q", "--soft", first)  # without the large one in its history
    third = shop.commit("Small again")
    shop.push().ok()
    assert (shop.says(), shop.live()) == ("three", third)
    server.end()


def fill(filler: Path) -> None:
    """Take all that is free on a file's disk."""
    found = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize)


@pytest.fixture
def crowded(small_disk: Path, servers: Callable[..., Server]) -> Iterator[tuple[Faulty, App, Path]]:
    """A server whose disk can be filled while a deploy waits, an app that answers ``one`` and would answer ``two``."""
    faulty = Faulty(servers(SMALL, small_disk))
    faulty.server.end()
    faulty.start()
    shop = faulty.server.app("shop")
    shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.commit("Second page", {**hello("two"), "large.bin": os.urandom(200_000)})
    filler = small_disk / "filler"
    yield faulty, shop, filler
    filler.unlink(missing_ok=True)
    faulty.go_on()
    faulty.server.end()


def test_a_disk_that_fills_up_at_any_stage_is_a_refusal(crowded: tuple[Faulty, App, Path], running: Keep) -> None:
    faulty, shop, filler = crowded
    before = shop.live()
    for stage in ("describe", "stage", "deliver", "verify", "release"):
        faulty.plan(f"pause before {stage}")
        with faulty.server.unchanged():
            push = running(shop.pushing())
            faulty.wait()
            fill(filler)
            faulty.go_on()
            done = push.wait()
            filler.unlink()
            assert " ! [remote rejected] master -> master" in done.err, (stage, done.err)
            reason = re.search("remote: .*(No space left on device|unable to write|the disk has 0 B free)", done.err)
            assert reason, (stage, done.err)
        assert (shop.live(), shop.says()) == (before, "one")
    shop.push().ok()
    assert shop.says() == "two"


@pytest.mark.parametrize("stage", ["boot", "check"])
def test_a_disk_that_fills_up_around_the_commit_point(
    crowded: tuple[Faulty, App, Path], running: Keep, stage: str
) -> None:
    """The ref is a few bytes: they fit, or git refuses. What it had taken by then lies there until the repository is packed."""
    faulty, shop, filler = crowded
    before = shop.live()
    faulty.plan(f"pause before {stage}")
    push = running(shop.pushing())
    faulty.wait()
    fill(filler)
    faulty.go_on()
    done = push.wait()
    filler.unlink()
    if shop.live() == before:
        assert " ! [remote rejected] master -> master" in done.err, done.err
        assert shop.says() == "one"
        assert not list(faulty.server.home.glob("node/srv/apps/shop/releases/v2"))
    else:
        assert shop.says() == "two"
    faulty.server.log.write_text("")  # that the disk was full stands in it
    shop.commit("Third page", hello("three"))
    shop.push().ok()
    assert shop.says() == "three"


def test_a_disk_that_fills_up_after_the_commit_point(crowded: tuple[Faulty, App, Path], running: Keep) -> None:
    faulty, shop, filler = crowded
    faulty.plan("pause before activate")
    push = running(shop.pushing())
    faulty.wait()
    fill(filler)
    faulty.go_on()
    push.wait()
    filler.unlink()
    assert shop.says() == "two"
    faulty.server.end()
    faulty.server.log.write_text("")  # that the disk was full stands in it
    faulty.start()
    assert (shop.live(), shop.says()) == (shop.git("rev-parse", "HEAD"), "two")
    assert shop.git("ls-remote", "deploy", "refs/releases/v2")
