"""Releases on a node: small directories that tie a version to its settings, and the one symlink that says which is live."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List

from buildless.node.layout import AppLayout
from buildless.node.versions import remove_tree


def number(release: str) -> int:
    """7 of ``v7``."""
    return int(release[1:])


def write(
    app: AppLayout, release: str, *, commit: str, socket: str | None, settings: Dict[str, Any], record: Dict[str, Any]
) -> Path:
    """Make ``releases/vN``: `tree` and `web.sock` are symlinks, `settings` (0600) and `release.json` are JSON.

    A directory of that name that is there already is from an attempt that did not end, and is replaced.
    """
    home = app.release(release)
    remove(app, release)
    home.mkdir(parents=True)
    (home / "tree").symlink_to(os.path.relpath(app.version(commit), home))
    if socket is not None:
        (home / "web.sock").symlink_to(socket)
    with os.fdopen(
        os.open(home / "settings", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        json.dump(settings, file)
    (home / "release.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    for directory in (app.logs, app.pycache, app.tmp(release)):
        directory.mkdir(parents=True, exist_ok=True)
    return home


def remove(app: AppLayout, release: str) -> None:
    """Forget a release; its version stays."""
    remove_tree(app.release(release))
    remove_tree(app.tmp(release))


def listed(app: AppLayout) -> List[Dict[str, Any]]:
    """The records of the releases that are there, oldest first; a half-written one is not among them."""
    found = []
    if app.releases.is_dir():
        for home in sorted(
            (home for home in app.releases.iterdir() if home.name[1:].isdigit()), key=lambda home: number(home.name)
        ):
            try:
                record = json.loads((home / "release.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            found.append({**record, "release": home.name})
    return found


def switch(app: AppLayout, release: str) -> str | None:
    """Make `release` the live one with a single rename(2); returns the one that was live before.

    Code, static files and socket change together, because all are reached through this one link.
    """
    before = app.live_release()
    target = "releases/" + release
    if not (app.home / target / "tree").is_dir():
        raise FileNotFoundError(2, "the release is not complete", str(app.home / target))
    new = app.home / ".live-new"
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(app.live)
    return before
