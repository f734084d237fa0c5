"""A push of a gigabyte goes through the server and does not stay in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .session import SMALL, Server, hello

SIZE = 1_000_000_000
MOST = 150_000  # kB of the server's own process


@pytest.mark.slow
def test_a_push_of_a_gigabyte(servers: Callable[..., Server]) -> None:
    server = servers(SMALL + "limits: {pack: 2GB}\n")
    # The file, git's object and pack of it here; the pack, the stage and the version there.
    if shutil.disk_usage(server.top).free < 7 * SIZE:
        pytest.skip("this needs 7 GB of disk")
    shop = server.app("shop")
    shop.commit("First page", hello("one"))
    shop.push().ok()
    for name, value in {"core.compression": "0", "pack.compression": "0", "core.bigFileThreshold": "16m"}.items():
        shop.git("config", name, value)
    with (shop.directory / "large.bin").open("wb") as file:
        for _ in range(SIZE // 10_000_000):
            file.write(os.urandom(10_000_000))
    commit = shop.commit("Large")
    push = shop.push(limit=300).ok()
    assert push.sent[1] > 0.9 * SIZE
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    most = int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1])  # type: ignore[index]
    assert most < MOST, f"the server had {most:,} kB"
    assert shop.version(commit).joinpath("large.bin").stat().st_size == SIZE
    assert shop.says() == "one"
