"""What the server can ask of a node. Every verb is safe to repeat, and none of them changes what is live but `activate`."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Iterable, List, Union

from buildless.errors import NodeError
from buildless.node import facts, releases, removal, versions
from buildless.node.layout import AppLayout, Layout
from buildless.node.marks import hold, jobs, maintenance, unhold, withdraw
from buildless.node.oneoff import run
from buildless.node.sent import files, sweep
from buildless.node.services import SERVICE_VERBS
from buildless.node.stream import Stream
from buildless.node.wheels import wheels

Answer = Dict[str, Any]
Verb = Callable[..., Union[Answer, Generator[str, None, Answer], Stream]]
"""Takes the node's Layout and what was asked. One that takes long is a generator of lines for the pusher; one that becomes a
program is a Stream."""


def survey(layout: Layout, app: str, *, debs: List[str], python: str | None) -> Answer:
    """What the server needs to know before it sends anything.

    Takes the Debian packages that the application asks for, and the interpreter it would run under, if any.
    """
    home = layout.app(app)
    home.versions.mkdir(parents=True, exist_ok=True)
    live = releases.live_records(layout).items()
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
        "hosts": {host: key for key, record in live for host in record["hosts"]},
        "mail": {to: key for key, record in live for to in record.get("mail", ())},
        "setup": facts.first_line(layout.setup),
        "clock": time.time(),
    }


def apps(layout: Layout) -> Answer:
    """The apps that there is anything of, those of which a release is live, and those that are withdrawn."""
    homes = [layout.app(name) for name in layout.names()]
    return {
        "apps": [home.name for home in homes],
        "live": [home.name for home in homes if home.live_release()],
        "withdrawn": [home.name for home in homes if home.withdrawn.is_symlink()],
    }


def state(layout: Layout, app: str) -> Answer:
    """Which versions and releases of `app` are here, and which release is live."""
    home = layout.app(app)
    there = (
        sorted(path.name for path in home.versions.iterdir() if path.name[0] != ".") if home.versions.is_dir() else []
    )
    return {
        "versions": there,
        "releases": releases.listed(home),
        "live": home.live_release(),
        "held": home.held.exists(),
        "withdrawn": home.withdrawn.is_symlink(),
    }


def receive(layout: Layout, app: str, *, version: str, base: str | None, without: List[str]) -> Answer:
    """Begin a version: an incoming directory holding what `base`, a version that is here, has in common with it.

    Takes the paths of `base` that the new version does not have, or has otherwise. Returns the directory to send the rest to.
    """
    home = layout.app(app)
    owners = layout.owners
    into = home.incoming(version)
    removal.remove_incoming(home, version)
    if base is None:
        into.mkdir(parents=True)
        owners.lend([str(into)])
        return {"directory": str(into), "kept": 0}
    index = versions.read_index(home.index(base))
    refuse_others(without, index)
    try:
        if home.spare(base).is_dir():
            home.spare(base).rename(into)
            versions.take_out(str(into), without)
        else:
            into.mkdir(parents=True)
            versions.link_tree(str(home.version(base)), index, str(into), without)
    except FileNotFoundError as error:
        raise NodeError(f"the version to begin with is not whole: {error}; push again") from error
    kept = len(index.keys() - set(without))
    left = versions.directories_of({path: found for path, found in index.items() if path not in set(without)})
    owners.lend([os.path.join(into, directory) for directory in left])
    owners.as_app(app, lambda: link_compiled(home, base, version, index, set(without)))
    return {"directory": str(into), "kept": kept}


def refuse_others(paths: Iterable[str], index: versions.Index) -> None:
    """Only what is in a version can be taken out of it; a path such as ../x is in none."""
    others = [path for path in paths if path not in index]
    if others and index:
        raise NodeError(f"{others[0]!r} is not in the version to begin with; push again")


def spare(layout: Layout, app: str, *, version: str) -> Answer:
    """Make a copy of `version`, all links, for the next `receive` to begin with; it takes the time that nobody waits then."""
    home = layout.app(app)
    for other in home.versions.glob(".spare-*"):
        if other != home.spare(version):
            removal.recycle(home, other.name.rpartition("-")[2], other)
            versions.remove_tree(other)
    if not home.spare(version).is_dir():
        into = home.incoming("spare")
        versions.remove_tree(into)
        into.mkdir(parents=True)
        try:
            versions.link_tree(str(home.version(version)), versions.read_index(home.index(version)), str(into), ())
        except OSError:
            versions.remove_tree(into)  # there is no room for it: it must not take what there is
            raise
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
    layout.owners.take_back(incoming)
    known = versions.read_index(home.index(base)) if base else {}
    index: versions.Index = {}
    with (
        nullcontext() if base else to_the_disk(incoming)
    ):  # beside the hashing; `release` has only the rest to wait for
        found = versions.scan(str(incoming), known, index)
        if found != tree:
            rows = [f"{item.mode:o} {item.oid} {path}" for path, item in sorted(index.items())]
            raise NodeError(f"the tree that arrived has the id {found}, not {tree}", *rows)
        versions.protect(str(incoming), index, known, layout.owners.take)
        versions.write_index(home.index(version), index)
    incoming.rename(final)
    return {"files": len(index)}


def release(layout: Layout, app: str, **said: Any) -> Answer:
    """Write a release, as releases.NewRelease says it; it is not live yet.

    What it and its version have is on the disk then, and not only on its way there: the ref is not to name what is gone when
    the node has lost its power.
    """
    where = releases.write(layout.app(app), releases.NewRelease(**said))
    with to_the_disk(where) as writing:
        problem = writing.communicate()[1].strip()
    if writing.returncode != 0:
        raise NodeError(f"the disk did not take it: {problem}; look at the node's disk")
    return {"directory": str(where)}


def to_the_disk(where: Path) -> subprocess.Popen[str]:
    """Begin to write everything that is still in memory of the file system that `where` is on (syncfs(2))."""
    return subprocess.Popen(("sync", "--file-system", str(where)), stderr=subprocess.PIPE, text=True)


def activate(layout: Layout, app: str, *, release: str) -> Answer:
    """Make `release` live; says which one was."""
    return {"before": releases.switch(layout.app(app), release)}


def discard(layout: Layout, app: str, *, release: str | None, version: str | None) -> Answer:
    """Undo what an attempt left: its release, its incoming directory, and its version if no release has it."""
    home = layout.app(app)
    if release is not None and release != home.live_release():
        releases.remove(home, release)
    if version is not None:
        removal.remove_incoming(home, version)
        if version not in {record["commit"] for record in releases.listed(home)}:
            removal.recycle(home, version, home.version(version))
            removal.remove_version(home, version)
    removal.remove_wheels(home)
    for directory in (home.wheels, home.versions, home.releases):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    if home.home.is_dir() and set(home.home.iterdir()) <= {home.secret, home.counts, home.jobs}:
        versions.remove_tree(home.home)
    if not home.home.exists():
        removal.remove_rest(home)
    return {}


def forget(layout: Layout, app: str, *, live: bool = False) -> Answer:
    """Delete all of an app of which nothing is live or withdrawn, attempts that never came to an end; or, with `live`, of any app.

    Says whether it did.
    """
    home = layout.app(app)
    if (home.live.is_symlink() or home.withdrawn.is_symlink()) and not live:
        return {"forgotten": False}
    home.live.unlink(missing_ok=True)
    home.withdrawn.unlink(missing_ok=True)
    versions.remove_tree(home.home)
    removal.remove_rest(home)
    return {"forgotten": True}


def prune(layout: Layout, app: str, *, keep: List[str]) -> Answer:
    """Delete every release that is not in `keep`, is not live, and whose processes serve none of these; then every version and
    all libraries that no release has. Says what went."""
    home = layout.app(app)
    freed = 0
    gone = releases.surplus(home, keep)
    for name in gone:
        releases.remove(home, name)
    used = {record["commit"] for record in releases.listed(home)}
    for path in list(home.versions.iterdir()) if home.versions.is_dir() else []:
        commit = path.name.removesuffix(versions.NEW).rpartition("-")[2]
        if commit not in used:
            versions.remove_tree(home.spare(commit))
            freed += versions.alone(home.version(commit))
            removal.recycle(home, commit, home.version(commit))
            removal.remove_version(home, commit)
    removal.remove_wheels(home)
    sweep(home)
    return {"releases": gone, "freed": freed}


def examine(layout: Layout, app: str) -> Answer:
    """Read every byte of what is live, and say which paths are not as they were delivered.

    A ``.`` among them means that no single file can be named: what was recorded about the version is wrong itself.
    """
    home = layout.app(app)
    live = home.live_release()
    record = releases.record(home, live)
    if record is None:
        return {"live": live, "commit": None, "tree": None, "differs": []}
    commit = record["commit"]
    there: versions.Index = {}
    try:
        tree = versions.scan(str(home.version(commit)), {}, there)
    except (OSError, ValueError) as error:
        return {"live": live, "commit": commit, "tree": None, "differs": [str(error)]}
    known = versions.read_index(home.index(commit))
    differs = [path for path in {*there, *known} if versions.content(there, path) != versions.content(known, path)]
    if tree != record["tree"] and not differs:
        differs = ["."]
    return {"live": live, "commit": commit, "tree": tree, "differs": sorted(differs)}


VERBS: Dict[str, Verb] = {
    **{verb.__name__: verb for verb in (survey, state, apps, receive, verify, wheels, release, activate, discard)},
    **{verb.__name__: verb for verb in (forget, spare, prune, examine, run, files, jobs, hold, unhold, maintenance)},
    "withdraw": withdraw,
    **SERVICE_VERBS,
}
