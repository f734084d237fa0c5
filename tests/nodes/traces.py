"""What there is of an app on a node, seen from outside: to show that a refused push leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .machines import Node, eventually

PLACES = ("srv/apps", "var/cache/apps", "var/lib/apps", "var/log/apps")
PASSING = ("log", "pyc")  # what an app writes by itself


def files(node: Node, key: str) -> set[str]:
    """Every path that has to do with the app, links with what they point to."""
    found = set()
    for top in [*(node.root / place / key for place in PLACES), *sites_and_units(node, key)]:
        found |= {described(top)} if os.path.lexists(top) else set()
        for directory, names, others in os.walk(top):
            names[:] = [name for name in names if not name.startswith(".spare-")]  # a refused deploy may use it up
            found.update(described(Path(directory) / name) for name in (*names, *others))
    return {path for path in found if not path.endswith(PASSING)}


def sites_and_units(node: Node, key: str) -> list[Path]:
    etc = node.root / "etc"
    units = (etc / "systemd" / "system").glob(f"app-{key}-web@*")
    return [etc / "nginx" / "gitdeploy" / f"{key}.conf", *units]


def described(path: Path) -> str:
    return f"{path} -> {os.readlink(path)}" if path.is_symlink() else str(path)


def running(node: Node, key: str) -> list[str]:
    """The units of the app that run, or failed."""
    argv = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"app-{key}-web@*")
    rows = [line.split() for line in node.ssh(*argv).splitlines()]
    return sorted(f"{row[0]} {row[3]}" for row in rows if row[2] != "inactive")


def live(node: Node, key: str) -> str:
    """The release that is live, and the commit that it is of."""
    link = node.root / "srv" / "apps" / key / "live"
    release = os.readlink(link)
    return f"{Path(release).name} {Path(os.readlink(link.parent / release / 'tree')).name}"


@contextmanager
def unchanged(key: str, *nodes: Node) -> Iterator[None]:
    """What happens inside leaves nothing behind on the nodes: no file, no link, no unit, no process."""
    before = [(node, files(node, key), running(node, key)) for node in nodes]
    yield
    for node, were, ran in before:
        eventually(f"{key} is as before on {node}", lambda node=node, were=were: files(node, key) == were)
        assert running(node, key) == ran
