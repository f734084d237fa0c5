"""How what is not needed any more goes: versions, libraries, and the rest of an app of which nothing is left."""

from __future__ import annotations

from pathlib import Path

from buildless.node import mounts, releases, versions
from buildless.node.layout import AppLayout


def remove_rest(home: AppLayout) -> None:
    """Delete what an app has besides its home. What it keeps is not ours to delete: only an empty directory goes."""
    mounts.remain(home, ())
    versions.remove_tree(home.cache)
    versions.remove_tree(home.logs)
    for path in home.node.written.glob(f"{home.name}.log*"):
        path.unlink(missing_ok=True)
    shared = list(home.shared.iterdir()) if home.shared.is_dir() else []
    for path in (home.state / "files", home.public, home.state, *shared, home.shared):
        try:
            path.unlink() if path.is_symlink() else path.rmdir()
        except OSError:
            pass


def forget_user(home: AppLayout) -> None:
    """Let the app's user go, unless there is something that belongs to him."""
    if not any(path.exists() for path in (home.state, home.shared, home.accounts)):
        home.node.owners.forget(home.name)


def remove_wheels(home: AppLayout) -> None:
    """Delete the libraries that no release is told of."""
    used = {Path(path).name for name in releases.names(home) for path in releases.libraries(home, name)}
    for path in list(home.wheels.iterdir()) if home.wheels.is_dir() else []:
        if path.name not in used:
            versions.remove_tree(path)


def recycle(home: AppLayout, commit: str, top: Path) -> None:
    """Make `top`, which holds the version `commit` and is not needed any more, the spare copy of the live one, if that has none.

    Most of it is the same files, and to link them all anew takes as long as to delete them all. Does nothing where it cannot be.
    """
    live = releases.record(home, home.live_release())
    base = str(live["commit"]) if live else commit
    if base == commit or not top.is_dir() or home.spare(base).is_dir():
        return
    index, known = versions.read_index(home.index(commit)), versions.read_index(home.index(base))
    if not (index and known):
        return
    versions.remove_tree(home.incoming("spare"))
    top.rename(home.incoming("spare"))
    try:
        versions.revert(str(home.incoming("spare")), index, str(home.version(base)), known)
        home.incoming("spare").rename(home.spare(base))
    except OSError:
        versions.remove_tree(home.incoming("spare"))  # somebody changed it, or there is no room


def remove_version(home: AppLayout, commit: str) -> None:
    """Delete a version and what was kept about it. First it loses its name: half a version is none."""
    home.static(commit).unlink(missing_ok=True)
    home.index(commit).unlink(missing_ok=True)
    versions.begun(home.index(commit)).unlink(missing_ok=True)
    remove_incoming(home, commit)
    if home.version(commit).is_dir():
        home.version(commit).rename(home.incoming(commit))
        versions.remove_tree(home.incoming(commit))
    home.node.owners.as_app(home.name, lambda: versions.remove_tree(home.compiled(commit)))


def remove_incoming(home: AppLayout, commit: str) -> None:
    """Delete what has arrived of a version. It is ours first: a sender that was cut off may still be writing there."""
    home.node.owners.take_back(home.incoming(commit))
    versions.remove_tree(home.incoming(commit))
