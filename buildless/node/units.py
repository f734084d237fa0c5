"""The units of an app, from templates of systemd: a socket and a service for each of its releases (``app-KEY-web@vN``), and the
same for each further process type (``app-KEY_NAME@vN``), of which workers have no socket, and a number (``app-KEY_NAME@vN.2``).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, Mapping

from buildless.errors import NodeError
from buildless.node import kinds, systemd
from buildless.node.layout import AppLayout
from buildless.node.owners import user_name
from buildless.node.templates import render
from buildless.node.writing import write
from buildless.processes import WEB

LONGEST_PATH = 107  # bytes of a unix socket's path (unix(7))


def limits(app: AppLayout, web: Mapping[str, Any]) -> Dict[str, Any]:
    """What the units of an app are told of it."""
    processes, memory, boot = (number(web, name) for name in ("processes", "memory", "boot"))
    return {
        "app": app.name,
        "user": user_name(app.name),
        "memory": int((processes + 1) * memory),  # all workers at their limit, and what the kernel keeps for them
        "boot": math.ceil(boot + 15),  # a worker that is over `boot` ends by itself and says where it was
    }


def units(app: AppLayout, record: Mapping[str, Any]) -> Dict[Path, str]:
    """The texts of the unit files that a release needs, by where they belong. Its limits are as WebLimits has them."""
    ports = not record.get("php") and not record.get("gunicorn", True)
    values = {**limits(app, record["web"]), "ports": ports}
    places = [*kinds.answering(record).values(), WEB]
    longest = max(len(str(app.release("v99999") / f"{place}.sock")) for place in places)
    if longest > LONGEST_PATH:
        over = longest - LONGEST_PATH
        raise NodeError(f"the name {app.name} is {over} characters too long for a socket; name the app shorter")
    found = {}
    if record.get("runs"):
        found[app.node.units / systemd.socket(app.name, "")] = render("web.socket", values, app.node.texts)
        found[app.node.units / systemd.service(app.name, "")] = render("web.service", values, app.node.texts)
    for kind, process in kinds.of(record).items():
        told = {**values, "kind": kind, "unit": systemd.template(app.name, kind), "path": process.path}
        found[app.node.units / systemd.service(app.name, "", kind)] = render("process.service", told, app.node.texts)
        if process.path is not None:
            found[app.node.units / systemd.socket(app.name, "", kind)] = render("process.socket", told, app.node.texts)
    return found


def number(web: Mapping[str, Any], name: str) -> float:
    """A limit; whatever is no number would be a line of its own in a unit."""
    value = web[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 2**63:
        raise NodeError(f"the limit {name} is {value!r} and no number; deploy with another setting")
    return value


def install(app: AppLayout, record: Mapping[str, Any]) -> None:
    """Write what changed, and have systemd read it. Releases of before go on as they are."""
    if put(units(app, record)):
        systemd.reload()


def put(texts: Mapping[Path, str]) -> bool:
    """Write the unit files that have another text; says whether any had."""
    changed = [path for path, text in texts.items() if write(path, text)]
    return bool(changed)


def remove(app: AppLayout) -> None:
    """Take away an app's unit files; nothing of them runs any more."""
    patterns = [f"{systemd.template(app.name, kind)}@.*" for kind in (WEB, "*")]
    there = [path for pattern in patterns for path in app.node.units.glob(pattern)] if app.node.units.is_dir() else []
    for path in there:
        path.unlink()
    if there:
        systemd.reload()
