"""Versions: exact git trees on a node, put together from what is already there and proved by their tree id.

The tree id is git's own (git's documentation, gitformat-pack and 'Git Internals - Git Objects'): a version whose id is the commit's
has the same bytes, names, executable bits and symlinks, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple, Set, Tuple

from buildless.node import tool

CHANGED = ("the tree that arrived has the id", "the version to begin with is not whole")
"""How the refusals begin that may be for what was here before: the server sends all of it then."""
CHUNK = 1 << 20  # bytes
EPOCH = 315_532_800  # 1980: zip files know no earlier time
NEW = ".new"
SPAN = 30 * 365 * 86_400  # seconds


class Found(NamedTuple):
    """One file or symlink of a version, as it lay on the disk when its id was computed."""

    mode: int
    oid: str
    inode: int
    size: int
    mtime_ns: int


Index = Dict[str, Found]
"""Path in the version -> what was found. A file that is hard-linked on from version to version (the same inode, size and mtime)
need not be read again: this is git's own index idea."""


def blob_id(path: str, status: os.stat_result) -> str:
    """The git object id of a file or symlink. Reads in chunks: memory stays flat."""
    digest = hashlib.sha1(usedforsecurity=False)
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(os.readlink(path))
        digest.update(b"blob %d\0" % len(target) + target)
    else:
        digest.update(b"blob %d\0" % status.st_size)
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)  # open() takes as long as all of the rest
        try:
            most = min(status.st_size + 1, CHUNK)
            while chunk := os.read(file, most):
                digest.update(chunk)
        finally:
            os.close(file)
    return digest.hexdigest()


def git_mode(status: os.stat_result) -> int:
    """The mode git records: 100644, 100755 or 120000 (gitformat-index(5))."""
    if stat.S_ISLNK(status.st_mode):
        return 0o120000
    return 0o100755 if status.st_mode & 0o100 else 0o100644


def scan(top: str, known: Index, index: Index, prefix: str = "") -> str:
    """Compute the tree id of the directory `top`; fill `index`; take the ids of files that `known` vouches for.

    Raises ValueError for what git cannot hold: an empty directory, a device, a pipe, a socket.
    """
    rows: List[Tuple[bytes, bytes]] = []
    with os.scandir(top) as entries:
        for entry in entries:
            path = prefix + entry.name
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                oid = scan(entry.path, known, index, path + "/")
                rows.append((name + b"/", b"40000 %s\0" % name + bytes.fromhex(oid)))
                continue
            status = entry.stat(follow_symlinks=False)
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                raise ValueError(f"{path} is neither a file nor a directory nor a symlink")
            mode, seen = git_mode(status), known.get(path)
            same = (status.st_ino, status.st_size, status.st_mtime_ns)
            oid = seen.oid if seen and seen[2:] == same and seen.mode == mode else blob_id(entry.path, status)
            index[path] = Found(mode, oid, *same)
            rows.append((name, b"%o %s\0" % (mode, name) + bytes.fromhex(oid)))
    if prefix and not rows:
        raise ValueError(f"{prefix} is an empty directory, which git does not have")
    body = b"".join(row for _, row in sorted(rows))
    return hashlib.sha1(b"tree %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def read_index(path: Path) -> Index:
    """The index of a version; empty where there is none, which only costs time."""
    try:
        with path.open(encoding="utf-8") as file:
            return {name: Found(*found) for name, found in json.load(file).items()}
    except (OSError, ValueError, TypeError):
        return {}


def write_index(path: Path, index: Index) -> None:
    """Write whole or not at all (rename); a full disk leaves nothing."""
    new = begun(path)
    try:
        new.write_text(json.dumps(index), encoding="utf-8")
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def begun(path: Path) -> Path:
    """Where an index is while it is written; there is one for ever if that is cut short."""
    return path.with_name(path.name + NEW)


def link_tree(base: str, index: Index, into: str, without: Iterable[str]) -> int:
    """Hard-link every file of the version at `base` into the directory `into`, but for the paths in `without`.

    Returns how many. Symlinks are made anew. Directories appear as they are needed, so that none stays empty.
    """
    leave = set(without)
    made = {""}
    count = 0
    for path, found in index.items():
        if path in leave:
            continue
        parent = path.rpartition("/")[0]
        if parent not in made:
            os.makedirs(os.path.join(into, parent), exist_ok=True)
            while parent not in made:
                made.add(parent)
                parent = parent.rpartition("/")[0]
        source, target = os.path.join(base, path), os.path.join(into, path)
        if found.mode == 0o120000:
            os.symlink(os.readlink(source), target)
        else:
            os.link(source, target)
        count += 1
    return count


def take_out(top: str, paths: Iterable[str]) -> None:
    """Delete files below `top`, and the directories that have nothing left in them; `top` itself stays."""
    parents = set()
    for path in paths:
        os.unlink(os.path.join(top, path))
        parents.add(path.rpartition("/")[0])
    for parent in sorted(parents - {""}, key=len, reverse=True):
        while parent and os.path.isdir(os.path.join(top, parent)) and not os.listdir(os.path.join(top, parent)):
            os.rmdir(os.path.join(top, parent))
            parent = parent.rpartition("/")[0]


def revert(top: str, index: Index, base: str, known: Index) -> None:
    """Make the version at `top`, of which `index` is, a copy of the one at `base`, of which `known` is: what they share stays."""
    for directory in directories_of(index):
        os.chmod(os.path.join(top, directory), 0o755)
    shared = {path for path, found in index.items() if found == known.get(path)}
    take_out(top, index.keys() - shared)
    link_tree(base, {path: found for path, found in known.items() if path not in shared}, top, ())


def mtime(oid: str) -> int:
    """The seconds that a file with this content has as its time, on every node and in every version: 30 years from 1980 on.

    Web servers make ETags of time and size, and Python compares just these of a source with what it has compiled (PEP 3147).
    So the same content has one ETag everywhere, after a rollback too, and content that is not the same has another one.
    """
    return EPOCH + int(oid[:16], 16) % SPAN


def protect(top: str, index: Index, known: Index, take: Callable[[str], None]) -> None:
    """Take the write permission from everything in a version: 0444, 0555 for programs and directories; set times (`mtime`).

    What is the same file in `known`, the index of a version, has been protected there. `take` makes a file ours.
    """
    for path, found in index.items():
        if known.get(path) == found:
            continue
        full = os.path.join(top, path)
        take(full)
        if found.mode != 0o120000:
            seconds = mtime(found.oid)
            os.chmod(full, 0o555 if found.mode == 0o100755 else 0o444)
            os.utime(full, (seconds, seconds))
            index[path] = found._replace(mtime_ns=seconds * 10**9)
    for directory in directories_of(index):
        os.chmod(os.path.join(top, directory), 0o555)


def content(index: Index, path: str) -> Tuple[int, str] | None:
    """Mode and id of what is at `path`, which is all that git knows of it."""
    found = index.get(path)
    return found and (found.mode, found.oid)


def directories_of(index: Index) -> Set[str]:
    """The directories that the files of an index are in, the top one (an empty name) with them."""
    found = {""}
    for path in index:
        parent = path.rpartition("/")[0]
        while parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


def alone(top: Path) -> int:
    """The bytes of the files in a version that no other version has: what its removal frees."""
    status = [os.lstat(os.path.join(directory, name)) for directory, _, names in os.walk(top) for name in names]
    return sum(one.st_size for one in status if one.st_nlink == 1)


def remove_tree(top: Path) -> None:
    """Delete a directory tree whose directories may be read-only. Nothing there is fine.

    Permissions are changed only for who is stopped by them: root is not, and would follow links that an app put there meanwhile.
    """
    if top.is_symlink() or not top.is_dir():
        return
    try:
        shutil.rmtree(top)
    except RecursionError:  # an app may have one directory in another as often as it likes
        tool.run(("rm", "--recursive", "--force", "--", str(top)))
    except PermissionError:
        for directory, _, _ in os.walk(top):
            os.chmod(directory, 0o755)
        shutil.rmtree(top)
