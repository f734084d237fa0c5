"""What a commit holds, good or bad: its app.yaml, its tree, and whether the one names what is in the other.

It is all that can be said of a commit before a node is asked, and is the same for a push and for ``gitdeploy check``.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from twisted.internet.threads import deferToThread

from buildless import description as app_yaml
from buildless import lifecycle, pth
from buildless.description import Description
from buildless.errors import DocumentError

from ..errors import Refused
from ..git import inspect
from ..git.inspect import EXECUTABLE, FILE, LINK, Inspection, Limits
from ..git.repository import Repository
from ..git.tree import Tree
from ..runner import Runner

DESCRIPTION = "app.yaml"
MAX_PTH = 65_536  # bytes
NO_DESCRIPTION = "there is no app.yaml at the top of the tree; it describes the application: see docs/app-yaml.rst"


class Faults(Refused):
    """Everything that is wrong with one part of a commit: `faults`, in their order. The message is the first of them."""

    def __init__(self, *faults: str) -> None:
        super().__init__(faults[0] if len(faults) == 1 else f"{faults[0]} (and {len(faults) - 1} more)")
        self.faults = faults


@dataclass(frozen=True)
class Examined:
    """A tree that was looked at: `sizes` has the bytes of each blob by its id, `found` what is wrong with entries."""

    tree: Tree
    sizes: dict[str, int]
    found: Inspection


@dataclass(frozen=True)
class Content:
    """The tree `oid` in `repository`; `quarantine` is where a push keeps its objects while they are not accepted yet."""

    repository: Repository
    oid: str
    limits: Limits
    quarantine: str | None = None

    def describe(self) -> Description:
        """What its app.yaml says. Raises Faults."""
        text = self.repository.file(self.oid, DESCRIPTION, self.quarantine)
        if text is None:
            raise Faults(NO_DESCRIPTION)
        try:
            return app_yaml.parse(text, DESCRIPTION)
        except DocumentError as error:
            raise Faults(*error.problems) from None

    async def examine(
        self, runner: Runner, environ: Mapping[str, str], timeout: float, accepted: str | None = None
    ) -> Examined:
        """Look at every entry; `accepted` is a tree that passed already. Raises Refused for a tree that cannot be read."""
        tree = await deferToThread(Tree.read, self.repository, self.oid, self.quarantine, self.limits)
        sizes = await tree.sizes(runner, environ, timeout)
        found = await deferToThread(tree.inspect, self.limits, sizes, accepted)
        return Examined(tree, sizes, found)


def absent(description: Description, tree: Tree) -> list[str]:
    """What app.yaml names and an inspected tree does not have, each with its line. What a link leads to is not looked at."""
    there = Paths(tree)
    named = [("runner", description.runner)] if description.runner else []
    named += [("paths", path) for path in description.paths]
    named += [("static", description.static)] if description.static else []
    if description.config is not None:
        named += [("config", path) for path in (description.config.default, description.config.template) if path]
    faults = [(key, there.fault(path, key)) for key, path in named]
    programs = [(key, file) for key, words in lifecycle.commands(description) if (file := lifecycle.file_of(words))]
    faults += [(key, there.program_fault(path)) for key, path in programs]
    found = [f"{DESCRIPTION}:{description.lines.get(key, 1)}: {key}: {problem}" for key, problem in faults if problem]
    if "php" in description.platform and not description.static and there.fault("static", "static"):
        advice = "write `static: DIR`, or put them into static/"
        found.append(
            f"{DESCRIPTION}:{description.lines['platform']}: platform: php needs the directory of its files; {advice}"
        )
    commands = [("command", description.command)] if description.command else []
    commands += [("processes", one.run) for one in description.processes.values()]
    for key, words in commands:
        if problem := there.command_fault(words[0]):
            found.append(f"{DESCRIPTION}:{description.lines.get(key, 1)}: {key}: {problem}")
    return found


def contradictions(description: Description, examined: Examined) -> list[str]:
    """What an inspected tree has otherwise than app.yaml, or the application itself, needs it, each with file and line."""
    return [*absent(description, examined.tree), *absolute(description, examined)]


def absolute(description: Description, examined: Examined) -> list[str]:
    """The lines of .pth files, in the directories that stand on sys.path, that name no directory of the tree."""
    if "python" not in description.platform:
        return []
    tree, tops = examined.tree, {b"", *(path.encode() for path in description.paths)}
    files = [one for one in tree.entries if one.parent in tops and one.mode in (FILE, EXECUTABLE)]
    files = sorted((one for one in files if pth.is_pth(one.name.decode())), key=attrgetter("path"))
    directories = {one.path.decode() for one in tree.entries if one.mode == inspect.DIRECTORY} if files else set[str]()
    found = []
    for entry in files:
        path = entry.path.decode()
        if examined.sizes[entry.oid] > MAX_PTH:
            found.append(f"{path} has more than {MAX_PTH:,} bytes; write one line for each directory, or rename it")
        else:
            content = tree.repository.blob(entry.oid, tree.quarantine)
            found += pth.faults(content, path, directories.__contains__)
    return found


class Paths:
    """The files, directories and links of a tree by their paths."""

    def __init__(self, tree: Tree) -> None:
        self.modes = {entry.path: entry.mode for entry in tree.entries}

    def along(self, path: str) -> list[int | None]:
        """The modes of the directories that a path is in, outermost first, and its own; None for what is not there."""
        return [self.modes.get(part.encode()) for part in upwards(path)]

    def command_fault(self, word: str) -> str | None:
        """Why the first word of a command names no program; None if it does, or may: what is installed is not known here."""
        path = posixpath.normpath(word)
        modes = self.along(path)
        if (
            ":" in word
            or LINK in modes
            or (modes[-1] is None and "/" not in word and not word.endswith((".py", ".sh")))
        ):
            return None
        if modes[-1] is None:
            return f"there is no file {path} in the tree; commit it, or write the one that is there"
        if modes[-1] == inspect.DIRECTORY:
            return f"{path} is a directory; write a file"
        return None

    def fault(self, path: str, key: str) -> str | None:
        """Why a path is not what `key` takes; None if it is, or may be, as a link leads to it."""
        modes = self.along(path)
        if LINK in modes:
            return None
        if key == "runner":
            return file_fault(path, modes[-1], "Python file")
        if modes[-1] is None:
            advice = "git keeps no empty directories: commit a file in it, or leave this out"
            return f"there is no directory {path} in the tree; {advice}"
        if key in ("static", "config") and modes[-1] != inspect.DIRECTORY:
            return f"{path} is a file; write the directory that it is in"
        return None  # sys.path takes archives, too

    def program_fault(self, path: str) -> str | None:
        """The same for a file that is run."""
        modes = self.along(path)
        if LINK in modes:
            return None
        if (problem := file_fault(path, modes[-1], "program in it")) is not None:
            return problem
        if modes[-1] != EXECUTABLE and not path.endswith((".py", ".sh")):
            return f"{path} is no program; make it one: chmod +x {shlex.quote(path)}, git add, git commit"
        return None


def file_fault(path: str, mode: int | None, instead: str) -> str | None:
    """Why there is no file; `instead` of a directory something else is to be written."""
    if mode is None:
        return f"there is no file {path} in the tree; commit it, or write the one that is there"
    return f"{path} is a directory; write a {instead}" if mode == inspect.DIRECTORY else None


def upwards(path: str) -> Iterator[str]:
    """The directories that a path is in, outermost first, and the path."""
    parts = path.split("/")
    for number in range(1, len(parts) + 1):
        yield "/".join(parts[:number])
