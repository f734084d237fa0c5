"""One-off commands on a machine: systemd runs them as the app's own user, cut off from all else as the app's services are."""

from __future__ import annotations

import os
import secrets
import subprocess
from typing import Any, List, Mapping, Sequence

from buildless.node import oneoff, releases, systemd
from buildless.node.layout import AppLayout, Layout
from buildless.node.owners import user_name
from buildless.node.stream import Stream
from buildless.node.templates import render
from buildless.node.units import number

SLACK = 60.0  # seconds more than a command may take


def run(layout: Layout, app: str, **request: Any) -> Stream:
    """Run a command, as oneoff.Asked says it, as the app's own user, in a service as cut off as the app's others.

    The application's own tests do not even see what it keeps.
    """
    home, asked = layout.app(app), oneoff.Asked(**request)
    terminal = asked.terminal
    oneoff.let_in(home, asked)
    directory, told = oneoff.directory_of(home, asked), oneoff.request(home, asked)
    record = releases.record(home, directory.name) or {}
    unit = systemd.oneoff(home.name, secrets.token_hex(4))
    argv = ("/usr/lib/gitdeploy/run", str(directory), told)
    said = [
        *properties(home, record["web"]),
        f"Description={home.name}: a command that somebody runs",
        f"RuntimeMaxSec={asked.timeout + SLACK:g}",  # where this process is killed, and cannot end it
        *([f"InaccessiblePaths=-{home.state} -{home.shared}"] if asked.tests else []),
    ]

    def start(inner: int) -> subprocess.Popen[bytes]:
        tty = os.ttyname(inner) if terminal else None
        line = systemd_run(unit, said, argv, tty)
        return subprocess.Popen(line, stdin=subprocess.DEVNULL if tty else inner, start_new_session=True)

    def end(child: subprocess.Popen[bytes]) -> None:
        systemd.quietly("stop", "--", unit)
        child.wait()

    return Stream(lambda: oneoff.attend(start, end, terminal, asked.timeout))


def properties(app: AppLayout, web: Mapping[str, Any]) -> List[str]:
    """``NAME=VALUE`` of a service in which somebody runs a command of an app; `web` has the limits of the release."""
    memory = int((number(web, "processes") + 1) * number(web, "memory"))  # as much as its web processes have together
    text = render("command", {"app": app.name, "user": user_name(app.name), "memory": memory}, app.node.texts)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def systemd_run(unit: str, properties: Sequence[str], argv: Sequence[str], tty: str | None) -> List[str]:
    """What has systemd run a command as a service of its own, with standard streams from here, or a terminal."""
    said = [*properties, "Type=exec"]
    if tty is not None:
        said += [f"TTYPath={tty}", "StandardInput=tty", "StandardOutput=tty", "StandardError=tty"]
    how = ["--quiet", "--wait", "--collect", f"--unit={unit}", *([] if tty else ["--pipe"])]
    return ["systemd-run", *how, *(part for one in said for part in ("--property", one)), "--", *argv]
