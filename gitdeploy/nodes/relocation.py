"""What is to be done on the embedded node when the server's home was moved or copied: its releases name places in the home."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from buildless.node.layout import Layout


def relocate(files: Layout, run: Path) -> str | None:
    """Have all releases name the places that are below the root of `files` now, and sockets in `run`; returns the root before.

    No application runs yet. Each release is looked at by itself, so that this may be cut short. None: all of them do so already.
    """
    found = None
    for key in files.names():
        app = files.app(key)
        for settings in app.releases.glob("*/settings"):
            try:
                said = json.loads(settings.read_text(encoding="utf-8"))
                secret = str(said["environ"]["APP_SECRET_FILE"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # half of a release, or one that needs nothing
            before = secret.removesuffix(str(app.secret.relative_to(files.root))).rstrip("/")
            if before in (secret, str(files.root)):
                continue
            relink(settings.parent, app.public, run)
            rewrite(settings, moved(said, before, str(files.root)))
            found = before
    return found


def moved(said: Any, before: str, now: str) -> Any:
    """`said`, as JSON has it, with `now` in place of the directory `before`."""
    if isinstance(said, dict):
        return {name: moved(one, before, now) for name, one in said.items()}
    if isinstance(said, list):
        return [moved(one, before, now) for one in said]
    if isinstance(said, str):
        return re.sub(rf"{re.escape(before)}(?=[/:]|$)", lambda _: now, said)
    return said


def relink(release: Path, public: Path, run: Path) -> None:
    """Lead the links of a release there."""
    targets = {link: run / os.path.basename(os.readlink(link)) for link in release.rglob("*.sock") if link.is_symlink()}
    if (release / "public").is_symlink():
        targets[release / "public"] = public
    for link, target in targets.items():
        new = link.with_name(f".{link.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)


def rewrite(settings: Path, said: Any) -> None:
    """Write the settings of a release, which only its processes may read."""
    new = settings.with_name(".settings.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(said, file)
    new.replace(settings)
