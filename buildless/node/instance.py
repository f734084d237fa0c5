"""A server of an app's own, where Debian's program cannot keep apps apart: a unit of systemd that runs as the app's user."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Mapping

from buildless import ports
from buildless.errors import NodeError
from buildless.node import renewal, systemd
from buildless.node.layout import AppLayout
from buildless.node.owners import user_name

PORTS = range(ports.FIRST + len(ports.USERS) * ports.EACH, 30_000)
"""Past those that users have by their number: to these the firewall lets nobody else connect, an app with its Redis included."""


def unit(home: AppLayout, service: str) -> str:
    return f"service-{home.name}-{service}.service"


def run(home: AppLayout, service: str, files: Mapping[Path, str], values: Mapping[str, object]) -> None:
    """Have it run, now and after a boot, with these files; started anew if any of them changed."""
    name = unit(home, service)
    changed = renewal.written(home.node, name, files, partial(put, home))
    if renewal.written(home.node, name, {home.node.units / name: unit_text(home, service, values)}) or changed:
        systemd.reload()
    elif is_active(home, service):
        return
    systemd.ask("enable", "--quiet", name)
    renewal.restart(home.node, name)


def interrupts(home: AppLayout, service: str, files: Mapping[Path, str], values: Mapping[str, object]) -> bool:
    """Whether `run` would start anew what runs."""
    path = home.node.units / unit(home, service)
    there = [*files.items(), (path, unit_text(home, service, values))]
    changes = renewal.is_due(home.node, path.name) or any(renewal.differs(*file) for file in there)
    return changes and is_active(home, service)


def is_finished(home: AppLayout, service: str) -> bool:
    """Whether nobody was killed between a change of its files and the start that reads them."""
    return not renewal.is_due(home.node, unit(home, service))


def unit_text(home: AppLayout, service: str, values: Mapping[str, object]) -> str:
    from buildless.node.templates import render  # only nodes have Jinja2, and services are asked elsewhere, too

    return render(f"{service}.service", {"app": home.name, "user": user_name(home.name), **values}, home.node.texts)


def is_active(home: AppLayout, service: str) -> bool:
    return systemd.quietly("is-active", "--quiet", unit(home, service)).returncode == 0


def stop(home: AppLayout, service: str) -> None:
    systemd.ask("stop", unit(home, service), timeout=systemd.STOP)


def start(home: AppLayout, service: str) -> None:
    systemd.ask("start", unit(home, service), timeout=systemd.STOP)


def remove(home: AppLayout, service: str) -> None:
    """It runs no more, and is not known."""
    path = home.node.units / unit(home, service)
    systemd.quietly("disable", "--now", "--quiet", path.name)
    path.unlink(missing_ok=True)
    systemd.reload()
    renewal.done(home.node, path.name)


def put(home: AppLayout, path: Path, text: str) -> bool:
    """A file that the app's user may read, and nobody else; says whether it is another one than before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    home.node.owners.show(home.name, new)
    new.replace(path)
    return True


def port_for(home: AppLayout, service: str, had: int) -> int:
    """The port that it had, or one that nobody has."""
    if had:
        return had
    taken = home.node.ports
    taken.mkdir(parents=True, exist_ok=True, mode=0o700)
    for port in PORTS:
        if is_free(port):
            with suppress(FileExistsError):
                (taken / str(port)).touch(exist_ok=False)  # others may be looking for one right now
                return port
    raise NodeError(f"no port is free for {service}; look at what listens on the node: ss -ltn")


def is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def size(text: str) -> int:
    """Bytes, of such as 64MB or 1GB.

    >>> size("64MB")
    64000000
    """
    match = re.fullmatch(r"([0-9]{1,6}) ?(MB|GB)", text)
    if match is None:
        raise ValueError(f"{text!r} is no size; write such as 64MB or 1GB")
    return int(match[1]) * {"MB": 10**6, "GB": 10**9}[match[2]]
