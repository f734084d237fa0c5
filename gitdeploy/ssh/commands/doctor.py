"""``doctor``: looks at the server and all nodes, and says what to do about what is not as it should be."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from ...deploy import agreement, former
from ...errors import GitdeployError
from ...names import EMBEDDED
from ...nodes.fleet import BALANCER, Machine
from ...runner import BASE_ENVIRON, Command
from ...text import size
from .call import Call, CommandSpec

TESTED = ("12", "13")  # releases of Debian
LITTLE = 1_000_000_000  # bytes free on a disk below which it is time to do something
CLOCK = 2.0  # seconds that clocks may differ
TOOL = 10.0  # seconds
TOOLS = (("git", "--version"), ("rsync", "--version"), ("ssh", "-V"))


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


async def run(call: Call) -> int:
    worst = 0
    fleet = call.site.fleet
    sections: list[tuple[str, list[str]]] = [
        ("server", [*misplaced(call, EMBEDDED), *[line async for line in server(call)]])
    ]
    for name in fleet.names():
        sections.append((name, [*misplaced(call, name), *await machine(call, fleet.get(name))]))
    for name in sorted(unknown(call)):
        sections.append((name, [f"gitdeploy.yaml names it, and it is not there; run: gitdeploy create-node {name}"]))
    for title, problems in sections:
        call.io.write(f"-----> {title}: {'needs attention' if problems else 'well'}")
        for problem in problems:
            worst = 1
            call.io.write(f" !     {problem}")
    return worst


def misplaced(call: Call, name: str) -> list[str]:
    """What gitdeploy.yaml takes a machine for and it is not, a line each."""
    return [
        line
        for one in call.site.config.environments.values()
        for line in call.site.fleet.misplaced(one.name, [pair for pair in one.members if pair[1] == name])
    ]


def unknown(call: Call) -> set[str]:
    """The nodes that gitdeploy.yaml names and nobody has made."""
    environments = call.site.config.environments.values()
    return {name for one in environments for name in one.machines} - set(call.site.fleet.names()) - {EMBEDDED}


async def server(call: Call) -> Any:
    """What is wrong with the server itself, a line each."""
    for argv in TOOLS:
        if shutil.which(argv[0], path=BASE_ENVIRON["PATH"]) is None:
            package = "openssh-client" if argv[0] == "ssh" else argv[0]
            yield f"{argv[0]} is not installed; run: apt-get install {package}"
        else:
            try:
                await call.site.runner.run(Command(argv, BASE_ENVIRON), timeout=TOOL)
            except GitdeployError as error:
                yield f"{argv[0]} does not run: {error}"
    if await disabled(call):
        yield "the service does not start with this machine; run: gitdeploy setup-server"
    home = call.site.home
    free = shutil.disk_usage(home).free
    if free < LITTLE:
        yield f"{size(free)} are free for {home}; make room, or pushes are refused"
    if home.stat().st_mode & 0o077:
        yield f"{home} can be read by others; run: chmod 700 {home}"
    if not call.users.all():
        yield "nobody may push; run: gitdeploy keys:add NAME < id_ed25519.pub"
    for line in agreement.left_behind(call.site):
        yield line
    if not os.access(home, os.W_OK):
        yield f"{home} cannot be written; give it to the user that runs the server"


async def disabled(call: Call) -> bool:
    """Whether there is a service of gitdeploy that systemd would not start."""
    argv = ("systemctl", "is-enabled", "gitdeploy.service")
    try:
        said = await call.site.runner.run(Command(argv, BASE_ENVIRON), timeout=TOOL, check=False)
    except GitdeployError:
        return False  # no systemd
    return said.decode().strip() in ("disabled", "masked")


async def machine(call: Call, record: Machine) -> list[str]:
    """What is wrong with a machine, a line each."""
    if record.setup is None:
        return [f"it has not been set up; run: gitdeploy setup-node {record.name}"]
    try:
        node = call.site.node(record.name)
        if (problem := await node.reach()) is not None:
            unready = call.site.fleet.unready(record.name, problem)
            return [unready or f"it does not answer: {problem}; look whether it runs, then: gitdeploy list-nodes"]
        async with call.site.talking(node) as session:
            status = await session.status()
            strangers = await former.strangers(call.site, session, node)
    except GitdeployError as error:
        return [str(error)]
    listed = former.serves(call.site, record.name)
    found = findings(record, status, node.setup, call.site.reactor.seconds(), listed)
    return [
        *found,
        *(f"{key} has no business here, and is not stopped; the server's log says why" for key in strangers["live"]),
    ]


def findings(
    record: Machine, status: Mapping[str, Any], setup: str | None, now: float, listed: bool = True
) -> Iterator[str]:
    """What a machine's own words tell, pure. `setup` is the version of the set-up that it should have.

    One that no environment has `listed` is to get no requests.
    """
    if setup not in (None, status["setup"]):
        yield f"it is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node {record.name}"
    if abs(status["clock"] - now) > CLOCK:
        yield (
            f"its clock is {abs(status['clock'] - now):.0f} s {'ahead of' if status['clock'] > now else 'behind'} the server's;"
            " on it, run: timedatectl set-ntp true"
        )
    for unit in status["failed_units"]:
        yield f"{unit} has failed; on it, look at: journalctl -u {unit}"
    balances = BALANCER in record.roles
    if balances and not status.get("haproxy_ok", True):  # one that was set up before that was asked does not say it
        yield (
            "haproxy does not run, or does not take its configuration; on it, look at: haproxy -c -f /etc/haproxy/haproxy.cfg,"
            " and: journalctl -u haproxy"
        )
    if not balances and not status["nginx_ok"]:
        yield "nginx does not take its configuration; on it, look at: nginx -t"
    free = status["disk"]["bytes"]
    if free < LITTLE:
        yield f"{size(free)} are free on its disk; keep fewer versions (keep: versions in gitdeploy.yaml), or make room"
    if str(status["debian"]).partition(".")[0] not in TESTED:
        yield f"it runs Debian {status['debian']}; gitdeploy is tested with {' and '.join(TESTED)}"
    if status["reboot_required"] and balances:
        yield "it wants to be rebooted; nobody is answered meanwhile: on it, run: reboot"
    elif status["reboot_required"]:
        yield f"it wants to be rebooted; run: nodes:drain {record.name}, reboot it, then: nodes:resume {record.name}"
    if listed and not balances and not status["in_service"]:
        yield (
            f"it is drained; when it is to get requests again: nodes:resume {record.name}"
            if record.drained
            else "it is not up to date, and gets no requests from a balancer until it is; the server's log says why"
        )


SPEC = CommandSpec("doctor", "what is not as it should be, and what to do about it", arguments, run)
