"""What a node keeps in mind of an app: empty files whose being there means something."""

from __future__ import annotations

from typing import Any, Dict

from buildless.node.layout import Layout

Answer = Dict[str, Any]


def hold(layout: Layout, app: str) -> Answer:
    """Keep that nobody is answered, while data are brought up to date. Where no release is there is nobody who would be."""
    home = layout.app(app)
    if home.releases.is_dir():
        home.held.touch()
    return {}


def unhold(layout: Layout, app: str) -> Answer:
    """Answer again."""
    layout.app(app).held.unlink(missing_ok=True)
    return {}


def maintenance(layout: Layout, app: str, *, on: bool) -> Answer:
    """Keep whether somebody has taken the app out of service. No update ends that, and what is deployed waits behind it."""
    home = layout.app(app)
    if on and home.releases.is_dir():
        home.maintenance.touch()
    elif not on:
        home.maintenance.unlink(missing_ok=True)
    return {}


def withdraw(layout: Layout, app: str) -> Answer:
    """Keep that nothing of the app is to run here, with all that there is of it, until a release is made live again."""
    home = layout.app(app)
    if home.live.is_symlink():
        home.live.rename(home.withdrawn)
    return {}


def jobs(layout: Layout, app: str, *, release: str, here: bool) -> Answer:
    """Keep whether this node is the one that runs the jobs of an app."""
    mark = layout.app(app).jobs
    if here:
        mark.touch()
    else:
        mark.unlink(missing_ok=True)
    return {}
