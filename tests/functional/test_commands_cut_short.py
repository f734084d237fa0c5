"""Commands whose asker, or whose server, goes away."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .commanding import LOUD, Command, command, loud, shop
from .session import PYTHON, App, Running, Server, eventually, hello, slow

__all__ = ["command", "shop"]


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
