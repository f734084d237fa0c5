"""What the server can ask of a node. Every verb is safe to repeat, and none of them changes what is live but `activate`."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any, Callable, Dict, List

from buildless.node import facts, releases, versions
from buildless.node.layout import AppLayout, Layout

Answer = Dict[str, Any]


class NodeError(Exception):
    """A request that this node cannot do; the message says why."""

    def __init__(self, message: str, *details: str) -> None:
        super().__init__(message)
        self.details = details


def survey(layout: Layout, app: str, *, debs: List[str], python: str | None) -> Answer:
    """What the server needs to know before it sends anything.

    Takes the Debian packages that the application asks for, and the interpreter it would run under, if any.
    """
    home = layout.app(app)
    home.versions.mkdir(parents=True, exist_ok=True)
    try:
        version = facts.python_version(python) if python else None
    except (OSError, subprocess.SubprocessError) as error:
        raise NodeError(f"{python} does not run: {error}") from error
    return {
        **state(layout, app),
        "missing_debs": facts.missing_debs(debs),
        "python": version,
        "os": facts.operating_system(),
        "free": facts.free_space(home.versions),
    }


def state(layout: Layout, app: str) -> Answer:
    """Which versions and releases of `app` are here, and which release is live."""
    home = layout.app(app)
    there = (
        sorted(path.name for path in home.versions.iterdir() if path.name[0] != ".") if home.versions.is_dir() else []
    )
    return {"versions": there, "releases": releases.listed(home), "live": home.live_release()}


def receive(layout: Layout, app: str, *, version: str, base: str | None, without: List[str]) -> Answer:
    """Begin a version: an incoming directory holding what `base`, a version that is here, has in common with it.

    Takes the paths of `base` that the new version does not have, or has otherwise. Returns the directory to send the rest to.
    """
    home = layout.app(app)
    into = home.incoming(version)
    versions.remove_tree(into)
    if base is None:
        into.mkdir(parents=True)
        return {"directory": str(into), "kept": 0}
    index = versions.read_index(home.index(base))
    if home.spare(base).is_dir():
        home.spare(base).rename(into)
        versions.take_out(str(into), without)
        kept = len(index.keys() - set(without))
    else:
        into.mkdir(parents=True)
        kept = versions.link_tree(str(home.version(base)), index, str(into), without)
    link_compiled(home, base, version, index, set(without))
    return {"directory": str(into), "kept": kept}


def spare(layout: Layout, app: str, *, version: str) -> Answer:
    """Make a copy of `version`, all links, for the next `receive` to begin with; it takes the time that nobody waits then."""
    home = layout.app(app)
    for other in home.versions.glob(".spare-*"):
        if other != home.spare(version):
            versions.remove_tree(other)
    if not home.spare(version).is_dir():
        into = home.incoming("spare")
        versions.remove_tree(into)
        into.mkdir(parents=True)
        versions.link_tree(str(home.version(version)), versions.read_index(home.index(version)), str(into), ())
        into.rename(home.spare(version))
    return {}


def link_compiled(home: AppLayout, base: str, version: str, index: versions.Index, without: set[str]) -> None:
    """Take over the compiled modules of files that did not change.

    A .pyc knows its source by size and by mtime in whole seconds (PEP 3147): that of a changed file could pass for the new one's.
    """
    source, target = home.compiled(base), home.compiled(version)
    versions.remove_tree(target)
    for directory, _, names in os.walk(source):
        below = os.path.relpath(directory, source)
        for name in names:
            path = os.path.normpath(os.path.join(below, name.partition(".")[0] + ".py"))
            if name.endswith(".pyc") and path in index and path not in without:
                os.makedirs(target / below, exist_ok=True)
                os.link(os.path.join(directory, name), target / below / name)


def verify(layout: Layout, app: str, *, version: str, tree: str, base: str | None) -> Answer:
    """Prove that what arrived is the git tree `tree`; only then is it a version. A version that is here already is left alone.

    Raises NodeError when it differs; `details` then has ``MODE ID PATH`` for every file that is there.
    """
    home = layout.app(app)
    incoming, final = home.incoming(version), home.version(version)
    if final.is_dir():
        versions.remove_tree(incoming)
        return {"files": len(versions.read_index(home.index(version)))}
    known = versions.read_index(home.index(base)) if base else {}
    index: versions.Index = {}
    found = versions.scan(str(incoming), known, index)
    if found != tree:
        rows = [f"{item.mode:o} {item.oid} {path}" for path, item in sorted(index.items())]
        raise NodeError(f"the tree that arrived has the id {found}, not {tree}", *rows)
    versions.protect(str(incoming), index, known)
    versions.write_index(home.index(version), index)
    incoming.rename(final)
    return {"files": len(index)}


def release(
    layout: Layout,
    app: str,
    *,
    release: str,
    version: str,
    socket: str | None,
    settings: Dict[str, Any],
    record: Dict[str, Any],
) -> Answer:
    """Write the release `release` of `version`; it is not live yet."""
    home = layout.app(app)
    where = releases.write(home, release, commit=version, socket=socket, settings=settings, record=record)
    return {"directory": str(where)}


def activate(layout: Layout, app: str, *, release: str) -> Answer:
    """Make `release` live; says which one was."""
    return {"before": releases.switch(layout.app(app), release)}


def discard(layout: Layout, app: str, *, release: str | None, version: str | None) -> Answer:
    """Undo what an attempt left: its release, its incoming directory, and its version if no release has it."""
    home = layout.app(app)
    if release is not None and release != home.live_release():
        releases.remove(home, release)
    if version is not None:
        versions.remove_tree(home.incoming(version))
        if version not in {record["commit"] for record in releases.listed(home)}:
            remove_version(home, version)
    for directory in (home.versions, home.releases, home.home):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    if not home.home.exists():
        versions.remove_tree(home.cache)
        versions.remove_tree(home.logs)
    return {}


def remove_version(home: AppLayout, commit: str) -> None:
    """Delete a version and what was kept about it. First it loses its name: half a version is none."""
    home.index(commit).unlink(missing_ok=True)
    if home.version(commit).is_dir():
        versions.remove_tree(home.incoming(commit))
        home.version(commit).rename(home.incoming(commit))
    versions.remove_tree(home.incoming(commit))
    versions.remove_tree(home.compiled(commit))


def forget(layout: Layout, app: str) -> Answer:
    """Delete all of an app that nothing is live of: attempts that never came to an end. Says whether it did."""
    home = layout.app(app)
    if home.live_release() is not None:
        return {"forgotten": False}
    for directory in (home.home, home.cache, home.logs):
        versions.remove_tree(directory)
    return {"forgotten": True}


def prune(layout: Layout, app: str, *, keep: List[str]) -> Answer:
    """Delete every release that is neither in `keep` nor live, then every version that no release has; says what went."""
    home = layout.app(app)
    before = shutil.disk_usage(home.home).free if home.home.is_dir() else 0
    keeping = {*keep, home.live_release()}
    gone = [record["release"] for record in releases.listed(home) if record["release"] not in keeping]
    for name in gone:
        releases.remove(home, name)
    used = {record["commit"] for record in releases.listed(home)}
    for path in list(home.versions.iterdir()) if home.versions.is_dir() else []:
        commit = path.name.rpartition("-")[2]
        if commit not in used:
            remove_version(home, commit)
            versions.remove_tree(home.spare(commit))
    return {"releases": gone, "freed": max(0, shutil.disk_usage(home.home).free - before) if home.home.is_dir() else 0}


VERBS: Dict[str, Callable[..., Answer]] = {
    verb.__name__: verb for verb in (survey, state, receive, verify, release, activate, discard, forget, spare, prune)
}
