"""What happens to pushes when the disk is full, at every stage of a deploy."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .faulty import Faulty, Keep, faulty, shop
from .session import SMALL, App, Server, hello

__all__ = ["faulty", "shop"]


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
