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
from typing import Dict, Iterable, List, NamedTuple, Tuple


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
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
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
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(json.dumps(index), encoding="utf-8")
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


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


def protect(top: str, index: Index, known: Index) -> None:
    """Take the write permission from everything in a version: 0444, 0555 for programs and directories.

    What is the same file in `known`, the index of a version, has been protected there.
    """
    directories = {""}
    for path, found in index.items():
        parent = path.rpartition("/")[0]
        while parent not in directories:
            directories.add(parent)
            parent = parent.rpartition("/")[0]
        if found.mode != 0o120000 and known.get(path) != found:
            os.chmod(os.path.join(top, path), 0o555 if found.mode == 0o100755 else 0o444)
    for directory in directories:
        os.chmod(os.path.join(top, directory), 0o555)


def remove_tree(top: Path) -> None:
    """Delete a directory tree whose directories may be read-only. Nothing there is fine."""
    if not top.is_symlink() and top.is_dir():
        for directory, _, _ in os.walk(top):
            os.chmod(directory, 0o755)
        shutil.rmtree(top)
