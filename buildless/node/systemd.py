"""What a machine asks systemd: states, starts and stops of units. The names of an app's units come from here, too."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from typing import Iterable, List, Sequence

from buildless.errors import NodeError
from buildless.processes import WEB

QUICK = 30.0  # seconds for what systemd does at once
NOT_LOADED = 5  # exit code of systemctl where there is no such unit
STOP = 90.0  # seconds for the end of a unit that is killed, and so far more than it takes
PROPERTIES = ("Id", "ActiveState", "SubState", "Result", "MainPID", "NRestarts", "ExecMainStatus", "ExecMainCode",
              "ActiveEnterTimestampMonotonic")  # fmt: skip
CRASHES, HEALTHY = 2, 10.0  # a worker that was started more often is down until it has been up for so many seconds
_UNIT = re.compile(r"app-[a-z0-9.-]+?(?:-web|_([a-z0-9-]+))@(v[0-9]+)(?:\.([0-9]+))?\.service")
_KILLED = ("2", "3")  # ExecMainCode of a process that a signal ended (CLD_KILLED, CLD_DUMPED)


@dataclass(frozen=True)
class Unit:
    """A service as systemd sees it; `release` is the one that its processes were started for, `number` is a worker's, else 0."""

    kind: str
    release: str
    number: int
    active: str
    sub: str
    result: str
    pid: int | None
    restarts: int
    status: str
    up: float

    @property
    def state(self) -> str:
        """In the words of `ps`: running, booting, restarting, draining, down, or stopped."""
        if self.number and self.active != "deactivating" and self.restarts > CRASHES and self.up < HEALTHY:
            return "down"
        if self.active in ("activating", "active", "deactivating"):
            if self.sub in ("auto-restart", "auto-restart-queued"):
                return "restarting"
            return {"activating": "booting", "active": "running", "deactivating": "draining"}[self.active]
        return "down" if self.active == "failed" else "stopped"


def template(app: str, kind: str) -> str:
    """The name of the units of a process type. There is no ``_`` in names of apps, so that no two are the same."""
    return f"app-{app}-web" if kind == WEB else f"app-{app}_{kind}"


def service(app: str, release: str, kind: str = WEB) -> str:
    """The service unit of a release; ``*`` for a release means all of them. That of a worker has its number, ``v7.2``."""
    return f"{template(app, kind)}@{release}.service"


def socket(app: str, release: str, kind: str = WEB) -> str:
    return f"{template(app, kind)}@{release}.socket"


def job(app: str, name: str) -> str:
    """The name of the units of a job."""
    return f"cron-{app}_{name}"


def oneoff(app: str, instance: str) -> str:
    """The service of a command that somebody runs."""
    return f"app-{app}-run@{instance}.service"


def message(app: str, instance: str) -> str:
    """The service of a message to an app."""
    return f"mail-{app}@{instance}.service"


def others(app: str, release: str) -> List[str]:
    """Patterns of all services of a release but the web process."""
    return [service(app, release, "*"), service(app, f"{release}.*", "*")]


def services(app: str) -> List[Unit]:
    """The services of an app that systemd has loaded. One question for all."""
    return parse(show(service(app, "*"), service(app, "*", "*")), time.clock_gettime(time.CLOCK_MONOTONIC))


def unit(app: str, release: str, kind: str = WEB) -> Unit:
    [found] = parse(show(service(app, release, kind)), time.clock_gettime(time.CLOCK_MONOTONIC))
    return found


def show(*units: str) -> str:
    return ask("show", "--property", ",".join(PROPERTIES), "--", *units)


def parse(text: str, now: float) -> List[Unit]:
    """What ``systemctl show`` says of units; `now` is the monotonic clock.

    >>> [found] = parse("Id=app-shop-web@v7.service\\nActiveState=active\\nSubState=running\\nMainPID=42\\nNRestarts=1\\n"
    ...                 "ActiveEnterTimestampMonotonic=5000000\\n", 7.5)
    >>> found.kind, found.release, found.state, found.pid, found.restarts, found.up
    ('web', 'v7', 'running', 42, 1, 2.5)
    >>> [found] = parse("Id=app-shop.x_mail-in@v7.2.service\\nActiveState=active\\nSubState=running\\nNRestarts=3\\n", 7.5)
    >>> found.kind, found.release, found.number, found.state
    ('mail-in', 'v7', 2, 'down')
    """
    found = []
    for block in text.strip().split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        match = _UNIT.fullmatch(said.get("Id", ""))
        if match is None:
            continue
        since = int(said.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
        status = said.get("ExecMainStatus", "0")
        unit = Unit(
            match[1] or WEB,
            match[2],
            int(match[3] or 0),
            said["ActiveState"],
            said["SubState"],
            said.get("Result", ""),
            int(said.get("MainPID", "0")) or None,
            int(said.get("NRestarts", "0")),
            f"was ended by signal {status}"
            if said.get("ExecMainCode") in _KILLED
            else f"ended with exit code {status}",
            round(now - since, 1) if since and said["ActiveState"] == "active" else 0.0,
        )
        found.append(unit)
    return found


def start(units: Sequence[str], timeout: float) -> str | None:
    """Start units and wait until they are; None, or in a word why they are not: ``failed`` or ``late``."""
    try:
        done = subprocess.run(
            ("systemctl", "start", "--", *units), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "late"
    return None if done.returncode == 0 else "failed"


def begin(units: Sequence[str]) -> None:
    """Have units started, without waiting for it."""
    if units:
        ask("start", "--no-block", "--", *units)


def end(units: Sequence[str]) -> None:
    """Have units stopped, without waiting for it: each drains first."""
    if units:
        ask("stop", "--no-block", "--", *units)


def kill(app: str, releases: Iterable[str]) -> None:
    """End services and sockets now, whatever they are doing, and forget their failures. Safe to repeat."""
    names = [name for release in releases for name in (service(app, release), *others(app, release))]
    if not names:
        return
    quietly("kill", "--kill-whom=all", "--signal=SIGKILL", "--", *names)
    sockets = [name[: -len("service")] + "socket" for name in names if not name.endswith(".*.service")]
    done = quietly("stop", "--", *sockets, *names, timeout=STOP)
    if done.returncode not in (0, NOT_LOADED):
        raise NodeError(f"systemctl stop failed: {done.stderr.strip()}; look at `systemctl status` on the node")
    quietly("reset-failed", "--", *names, *sockets)


def reload() -> None:
    """Have systemd read its unit files again."""
    ask("daemon-reload")


def failed() -> List[str]:
    """The units of this machine that failed."""
    lines = ask("list-units", "--failed", "--plain", "--no-legend", "--full").splitlines()
    return [line.split()[0] for line in lines if line.split()]


def ask(*words: str, timeout: float = QUICK) -> str:
    """Run systemctl; returns what it wrote. Raises NodeError."""
    done = quietly(*words, timeout=timeout)
    if done.returncode != 0:
        raise NodeError(f"systemctl {words[0]} failed: {done.stderr.strip()}; look at `systemctl status` on the node")
    return done.stdout


def quietly(*words: str, timeout: float = QUICK) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ("systemctl", *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"systemctl {words[0]} did not end within {timeout:g} s; look at the node") from error
