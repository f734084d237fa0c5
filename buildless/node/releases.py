"""Releases on a node: small directories that tie a version to its settings, and the one symlink that says which is live."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Set

from buildless.errors import BuildlessError, NodeError
from buildless.node import kinds
from buildless.node.layout import AppLayout, Layout
from buildless.node.versions import remove_tree
from buildless.node.writing import write as write_whole
from buildless.processes import WEB
from buildless.secret import put_secret, read_secret
from buildless.values import tree_path


def number(release: str) -> int:
    """7 of ``v7``."""
    return int(release[1:])


@dataclass(frozen=True)
class NewRelease:
    """All that the release `release` of `version`, a commit, is made of. `sockets` says by process type where it listens.

    `settings` are for its processes alone, `record` is for whoever asks. `config` has the files of its configuration, in base64.
    """

    release: str
    version: str
    sockets: Mapping[str, str]
    settings: Dict[str, Any]
    record: Dict[str, Any]
    secret: str
    config: Dict[str, str]


def write(app: AppLayout, new: NewRelease) -> Path:
    """Make ``releases/vN``: `tree`, `static` and `web.sock` are symlinks, `settings` and `release.json` are JSON, `name` says vN.

    The sockets of what answers beside the web process are below `at`, by their path.

    A directory of that name that is there already is from an attempt that did not end, and is replaced. `release.json` comes
    last: without it there is no release.
    """
    home, record = app.release(new.release), new.record
    remove(app, new.release)
    home.mkdir(parents=True)
    (home / "tree").symlink_to(os.path.relpath(app.version(new.version), home))
    static = os.path.normpath(os.path.join("tree", record.get("static", "static")))
    if not static.startswith("tree/"):
        raise NodeError(f"static: {record['static']!r} is not below the top of the tree; write a path that is")
    if (home / static).is_dir():
        (home / "static").symlink_to(static)
        show_version(app, new.version, static)
    else:
        (home / "static").mkdir()
    for kind, place in kinds.answering(record).items():
        (home / f"{place}.sock").parent.mkdir(exist_ok=True)
        (home / f"{place}.sock").symlink_to(new.sockets[kind])
        (home / ("runs" if kind == WEB else place)).touch()  # for nginx, whose tests of files know of no sockets
    if record.get("php"):
        (home / "php").touch()  # nginx is to speak FastCGI
    with os.fdopen(
        os.open(home / "settings", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(new.settings, file)
    (home / "name").write_text(new.release + "\n", encoding="utf-8")
    own = (app.logs, app.pycache, app.tmp(new.release))
    for directory in (*own, app.state):
        directory.mkdir(parents=True, exist_ok=True)
    app.node.owners.give(app.name, *own)
    app.give_state()
    if app.public.is_dir():
        (home / "public").symlink_to(app.public)
    app.node.owners.show(app.name, home / "settings")
    keep_secret(app, new.secret)
    put_config(app, home / "config", new.config)
    (home / "release.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    return home


def show_version(app: AppLayout, commit: str, static: str) -> None:
    """Let the web server find the static files of a version, ``tree/...``, for as long as it is kept."""
    if not app.static(commit).is_symlink():
        app.static(commit).symlink_to(os.path.join(commit, os.path.relpath(static, "tree")))


def put_config(app: AppLayout, top: Path, files: Mapping[str, str]) -> None:
    """Write the files of a release's configuration, which come in base64, for the app alone to read."""
    for name, content in files.items():
        place = top / tree_path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64decode(content, validate=True))
        app.node.owners.show(app.name, place)


def keep_secret(app: AppLayout, secret: str) -> None:
    """Have the app's secret where its processes look for it; those that run find the old one or the new one, never half of it."""
    try:
        if read_secret(app.secret) == secret:
            return
    except (OSError, BuildlessError):
        pass
    put_secret(app.secret, secret, replace=True, show=lambda path: app.node.owners.show(app.name, path))


def serving(app: AppLayout, release: str) -> str | None:
    """The release whose processes serve `release`: itself, or an earlier one that it took over; None for files only."""
    said = (record(app, release) or {}).get("serving")
    if isinstance(said, str):
        return app.release(said).name
    try:
        socket = os.readlink(app.release(release) / "web.sock")
    except OSError:
        return None
    found = re.search(r"(v[1-9][0-9]*)\.sock$", socket)
    return found[1] if found else None


def surplus(app: AppLayout, keep: Collection[str]) -> List[str]:
    """The releases that are neither in `keep` nor live, nor have the processes of one of these. `keep` may name what never was."""
    keeping = {name for name in names(app) if name in keep or name == app.live_release()}
    keeping |= {name for name in (serving(app, kept) for kept in keeping) if name is not None}
    return [record["release"] for record in listed(app) if record["release"] not in keeping]


def live_records(node: Layout) -> Dict[str, Dict[str, Any]]:
    """What is live on the node: the record of each app's live release, by the app's name."""
    found = {name: record(node.app(name), node.app(name).live_release()) for name in node.names()}
    return {name: one for name, one in found.items() if one is not None}


def remove(app: AppLayout, release: str) -> None:
    """Forget a release; its version stays."""
    remove_tree(app.release(release))
    remove_tree(app.tmp(release))


def names(app: AppLayout) -> List[str]:
    """The releases that there is a directory of, oldest first."""
    if not app.releases.is_dir():
        return []
    return sorted((home.name for home in app.releases.iterdir() if home.name[1:].isdigit()), key=number)


def listed(app: AppLayout) -> List[Dict[str, Any]]:
    """The records of the releases that are there, oldest first; a half-written one is not among them."""
    return [found for found in (record(app, name) for name in names(app)) if found is not None]


def mounts(app: AppLayout) -> Set[str]:
    """The addresses of the nodes from which the releases that are there have something mounted."""
    return {host for found in listed(app) for host in found.get("mounts", {}).values()}


def record(app: AppLayout, release: str | None) -> Dict[str, Any] | None:
    """What is recorded about a release; None if it is not there, or only half of it."""
    if release is None:
        return None
    try:
        found = json.loads((app.release(release) / "release.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {**found, "release": release}


def libraries(app: AppLayout, release: str) -> List[str]:
    """The directories with libraries that a release is told of."""
    try:
        settings = json.loads((app.release(release) / "settings").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return list(settings.get("libraries", ()))


def switch(app: AppLayout, release: str) -> str | None:
    """Make `release` the live one with a single rename(2); returns the one that was live before.

    Code, static files and socket change together, because all are reached through this one link.
    """
    before = app.live_release()
    if not (app.release(release) / "tree").is_dir():
        raise FileNotFoundError(2, "the release is not complete", str(app.release(release)))
    new = app.home / ".live-new"
    new.unlink(missing_ok=True)
    new.symlink_to("releases/" + release)
    new.rename(app.live)
    app.withdrawn.unlink(missing_ok=True)
    return before


def counts(app: AppLayout) -> Dict[str, int]:
    """What was said of the number of workers."""
    try:
        return dict(json.loads(app.counts.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def keep_counts(app: AppLayout, said: Mapping[str, int]) -> None:
    """Keep that, for a start of the machine at which the server cannot be asked."""
    write_whole(app.counts, json.dumps({name: kinds.number(count) for name, count in said.items()}))
