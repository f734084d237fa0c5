"""Whether the files of a tree have changed: looks at all of them now and then, which works on every file system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dulwich.ignore import IgnoreFilterManager

NEVER = frozenset((".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules"))
"""Directories that are no part of an application, whatever .gitignore says."""

PASSING = re.compile(r".*(~|\.sw[a-z]|\.pyc)|\.#.*|#.*#|4913")  # what editors write for a moment, and Python
IGNORE = ".gitignore"
State = tuple[int, int, int]


class Watch:
    """The files below `top` that git does not ignore, but for the directories `without`; and what is `beside` it: files, or
    directories with all in them."""

    def __init__(self, top: Path, without: tuple[str, ...] = (), beside: tuple[Path, ...] = ()) -> None:
        self.top, self.without, self.beside = top, without, beside
        self.ignored = IgnoreFilterManager(str(top), [], False)
        self.known: dict[
            str, bool
        ] = {}  # whether git ignores a path: asking takes long, so it is asked of few and once
        self.states = self.all()

    def changed(self) -> list[str]:
        """The paths that came, went or changed since this was asked before. It blocks."""
        before, self.states = self.states, self.all()
        differ = sorted(path for path in {*before, *self.states} if before.get(path) != self.states.get(path))
        found = [path for path in differ if os.path.isabs(path) or not self.ignores(path)]
        if any(os.path.basename(path) == IGNORE for path in found):
            self.ignored, self.known = IgnoreFilterManager(str(self.top), [], False), {}
        return found

    def all(self) -> dict[str, State]:
        states = dict(self.look())
        for path in self.beside:
            states.update(outside(path))
        return states

    def look(self, below: str = "") -> Iterator[tuple[str, State]]:
        try:
            entries = list(os.scandir(self.top / below))
        except OSError:
            return  # it has gone meanwhile
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in NEVER and path not in self.without and not self.ignores(f"{path}/"):
                        yield from self.look(path)
                elif not PASSING.fullmatch(entry.name):
                    yield path, state(entry.stat(follow_symlinks=False))
            except OSError:
                continue

    def ignores(self, path: str) -> bool:
        if path not in self.known:
            self.known[path] = bool(self.ignored.is_ignored(path))
        return self.known[path]


def outside(path: Path) -> Iterator[tuple[str, State]]:
    """A file that is not in the tree, or what is in a directory; of the directory itself only that it is there."""
    with suppress(OSError):
        if not path.is_dir():
            yield str(path), state(path.stat())
            return
        yield str(path), (0, 0, path.stat().st_ino)
        for one in path.iterdir():
            if not PASSING.fullmatch(one.name) and not (
                one.is_symlink() and one.is_dir()
            ):  # it may lead round in a circle
                yield from outside(one)


def state(found: os.stat_result) -> State:
    return found.st_mtime_ns, found.st_size, found.st_ino
