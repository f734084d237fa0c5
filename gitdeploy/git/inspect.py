"""Is every entry of a pushed tree safe to write on a node, and will exactly this tree be there again when it was written?

In three steps, so that nothing large is read: `entries` lists the tree; the caller gets all sizes from one ``git cat-file
--batch-check``; `inspect` decides, and asks for the content of links and of blobs small enough to be git-LFS pointers.
What is refused follows git's own fsck and verify_path (fsck.c, path.c, utf8.c, read-cache.c) and goes beyond it.
"""

from __future__ import annotations

import posixpath
import re
import shlex
import unicodedata
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from dulwich.errors import ObjectFormatException
from dulwich.object_store import BaseObjectStore
from dulwich.objects import ObjectID, Tree, parse_tree

from ..errors import Refused

FILE, EXECUTABLE, DIRECTORY, LINK, SUBMODULE = 0o100644, 0o100755, 0o040000, 0o120000, 0o160000

MAX_NAME = 255  # bytes: NAME_MAX of every file system of Linux
MAX_PATH = 1000  # bytes of a path or a link's target: below PATH_MAX (4096) in any version directory
MAX_DEPTH = 200  # directories inside each other; what is deeper is not looked at, as it is refused already
MAX_PROBLEMS = 1000  # of which nobody reads the last: no further directory is looked at
OVERSHOOT = 2  # times the allowed number of entries are counted, then no more: a few kB can hold millions of files
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LFS_SIZES = range(100, 1025)  # bytes: below 1024 by its specification; its three required lines have over 100
EMPTY_TREES = frozenset({Tree().id.decode(), "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"})

_ANEW = "git makes no such tree; make the commit anew: git read-tree --empty, git add -A, git commit"
_PLAIN = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.+@=,-]{0,254}")  # nearly all names: one match decides
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")
_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")  # next_hfs_char in git's utf8.c
_DOT_GIT = re.compile(r"(?:\.git|git~1)[. ]*(?::.*)?", re.IGNORECASE | re.DOTALL)  # is_ntfs_dotgit in git's path.c

Sizes = Mapping[str, int]
ReadBlob = Callable[[str], bytes]
Fresh = Container[str] | None


class Entry(NamedTuple):
    """One entry of one tree as it stands there. (No dataclass: a push has thousands, and these are made twice as fast.)

    `parent` is the directory's path, ``b""`` for the root. It is apart from `name`, as a forged name may have a slash in it.
    """

    parent: bytes
    name: bytes
    mode: int
    oid: str

    @property
    def path(self) -> bytes:
        return self.parent + b"/" + self.name if self.parent else self.name


@dataclass(frozen=True)
class Limits:
    """How large a tree may be: files and directories together, and bytes when it is written."""

    files: int
    unpacked: int


@dataclass(frozen=True)
class Problem:
    """Why an entry is refused: its path (printable; empty for the whole tree), what is wrong, and what to do."""

    path: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.advice}" if self.path else f"{self.what}; {self.advice}"


@dataclass(frozen=True)
class Inspection:
    """What was seen: files (links are files), bytes when written, and every problem, those of the whole tree first."""

    files: int
    size: int
    problems: tuple[Problem, ...]


def entries(store: BaseObjectStore, tree: str, limits: Limits) -> Iterator[Entry]:
    """All entries below the tree of that id, directories too, those of one directory together and in raw order.

    Ends early after `OVERSHOOT` times the allowed number, and does not go where paths or nesting are over their limits.
    Raises Refused for a tree that is missing or cannot be read.
    """
    waiting = [(b"", ObjectID(tree.encode()))]
    left = OVERSHOOT * limits.files + 1
    while waiting:
        parent, oid = waiting.pop()
        for name, mode, child in listing(store, parent, oid):
            entry = Entry(parent, name, mode, child.decode())
            yield entry
            left -= 1
            if not left:
                return
            if mode == DIRECTORY and depth(parent) < MAX_DEPTH and len(entry.path) <= MAX_PATH:
                waiting.append((entry.path, ObjectID(child)))


def listing(store: BaseObjectStore, path: bytes, oid: ObjectID) -> list[tuple[bytes, int, bytes]]:
    """Names, modes and ids of one tree object, strictly parsed."""
    try:
        kind, raw = store.get_raw(oid)
        if kind == Tree.type_num:
            return list(parse_tree(raw, len(oid) // 2, strict=True))
        reason = "is not a directory"
    except KeyError:
        reason = "is missing"
    except (ObjectFormatException, ValueError) as error:
        reason = str(error)
    raise Refused(f"the tree {oid.decode()} of /{printable(path)} cannot be read ({reason}); {_ANEW}")


def inspect(entries: Iterable[Entry], limits: Limits, sizes: Sizes, blob: ReadBlob, fresh: Fresh = None) -> Inspection:
    """Look at every entry. `sizes` has the bytes of each blob by its id, `blob` reads one (a link, or at most 1024 bytes).
    `fresh`, if given, has the ids of blobs that were never looked into."""
    count = files = size = 0
    largest = (0, Entry(b"", b"", FILE, ""))
    problems: list[Problem] = []
    for parent, group in groupby(entries, key=attrgetter("parent")):
        if len(problems) >= MAX_PROBLEMS:
            break
        siblings = list(group)
        count += len(siblings)
        problems += collisions(siblings)
        short = len(parent) < MAX_PATH - MAX_NAME
        for entry in siblings:
            if not (short and _PLAIN.fullmatch(entry.name)) and (found := name_problem(entry)):
                problems.append(Problem(printable(entry.path), *found))
            if found := content_problem(entry, sizes, blob, fresh):
                problems.append(Problem(printable(entry.path), *found))
            if entry.mode != DIRECTORY:
                files += 1
                here = sizes.get(entry.oid, 0)
                size += here
                if here > largest[0]:
                    largest = here, entry
    return Inspection(files, size, (*too_much(limits, count, size, *largest), *problems))


def blobs(entries: Iterable[Entry]) -> list[str]:
    """The ids whose sizes `inspect` needs, each once."""
    return list(dict.fromkeys(entry.oid for entry in entries if entry.mode not in (DIRECTORY, SUBMODULE)))


def lines(problems: Sequence[Problem], most: int = 20) -> list[str]:
    """The first problems as lines for the pusher, and how many more there are."""
    shown = [str(problem) for problem in problems[:most]]
    return shown if len(problems) <= most else [*shown, f"and {len(problems) - most:,} more"]


def depth(parent: bytes) -> int:
    """How many directories an entry of the directory `parent` is in."""
    return parent.count(b"/") + 1 if parent else 0


def printable(path: bytes) -> str:
    """A path as it may be shown, up to `MAX_PATH` bytes of it: what is no UTF-8 or does not print is escaped."""
    text = path[:MAX_PATH].decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def too_long(what: str, length: int, limit: int) -> tuple[str, str]:
    return f"{what} has {length:,} bytes; the limit is {limit:,}", "write a shorter one"


def too_much(limits: Limits, count: int, size: int, most: int, largest: Entry) -> Iterator[Problem]:
    """Whether the tree as a whole is over a limit."""
    advice = "take out of git what the app does not need to run"
    if count > limits.files:
        exact = f"{count:,}" if count <= OVERSHOOT * limits.files else f"more than {OVERSHOOT * limits.files:,}"
        what = f"{exact} files and directories; the limit is {limits.files:,} (limits: files in gitdeploy.yaml)"
        yield Problem("", what, advice)
    if size > limits.unpacked:
        what = f"{size:,} bytes unpacked; the limit is {limits.unpacked:,} (limits: unpacked in gitdeploy.yaml)"
        yield Problem("", what, f"{advice}; the largest file is {printable(largest.path)}, {most:,} bytes")


def folded(name: bytes) -> str:
    """The same for two names that a case-insensitive or normalising file system takes for one (macOS, Windows)."""
    text = name.decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def collisions(siblings: Sequence[Entry]) -> Iterator[Problem]:
    """Entries of one directory with one name, or with names that differ only in case or in the spelling of accents."""
    names = [entry.name for entry in siblings]
    if b"".join(names).isascii() and len({name.lower() for name in names}) == len(names):
        return
    seen: dict[str, Entry] = {}
    for entry in siblings:
        other = seen.setdefault(folded(entry.name), entry)
        if other.name != entry.name:
            what, advice = f"differs from {printable(other.name)} only in case or accents", "rename one: git mv"
        elif (other.mode == LINK) != (entry.mode == LINK):
            what, advice = "is there twice, once as a link, which the other would be written through", _ANEW
        else:
            what, advice = "is there twice", _ANEW
        if other is not entry:
            yield Problem(printable(entry.path), what, advice)


def dot_git(name: str) -> bool:
    """Whether some file system takes the name for ``.git``: HFS+ ignores code points, NTFS dots, spaces, streams, short names."""
    return any(_DOT_GIT.fullmatch(part) for part in _HFS_IGNORED.sub("", name).split("\\"))


def text_problem(text: bytes) -> str | None:
    """Why a name or a link's target is no text that can be shown and kept everywhere."""
    try:
        return "has a newline or another control character" if _CONTROL.search(text.decode()) else None
    except UnicodeDecodeError:
        return "is not UTF-8"


def name_problem(entry: Entry) -> tuple[str, str] | None:
    """Why an entry of that name, in that directory, is not written, and what to do; None if it is."""
    name = entry.name
    if name in (b"", b".", b"..") or b"/" in name:
        return "is not the name of a file in its directory", _ANEW
    if dot_git(name.decode("utf-8", "replace")):
        return "is a spelling of .git, which git itself would read", "remove it: git rm --cached"
    if len(name) > MAX_NAME:
        return too_long("the name", len(name), MAX_NAME)
    if len(entry.path) > MAX_PATH:
        return too_long("the path", len(entry.path), MAX_PATH)
    if problem := text_problem(name):
        return f"its name {problem}", "rename it: git mv"
    return None


def content_problem(entry: Entry, sizes: Sizes, blob: ReadBlob, fresh: Fresh) -> tuple[str, str] | None:
    """Why an entry of that kind and content is not written, and what to do; None if it is."""
    mode, oid = entry.mode, entry.oid
    if mode == DIRECTORY:
        if depth(entry.parent) >= MAX_DEPTH:
            return f"is inside more than {MAX_DEPTH} directories", "move it up"
        return ("is an empty directory", _ANEW) if oid in EMPTY_TREES else None
    path = shlex.quote(printable(entry.path))
    if mode == SUBMODULE:
        advice = f"put its files into the repository: git rm {path}, then git subtree add --prefix {path} URL BRANCH"
        return "is a submodule, whose files are not in this repository", advice
    if mode not in (FILE, EXECUTABLE, LINK):
        what = f"has the mode {mode:06o}; a tree written to files can only have 100644, 100755 and 120000 again"
        return what, f"git rm --cached {path}, git add -f {path}, git commit --allow-empty"
    size = sizes.get(oid)
    if size is None:
        return f"its content {oid} is missing", "run git fsck, then push again"
    if mode == LINK:
        return (
            too_long("the link's target", size, MAX_PATH)
            if size > MAX_PATH
            else link_problem(blob(oid), depth(entry.parent))
        )
    if size in LFS_SIZES and (fresh is None or oid in fresh) and blob(oid).startswith(LFS_POINTER):
        return (
            "is a git-LFS pointer, and not the file",
            f"put the file into git: git lfs migrate export --include={path}",
        )
    return None


def link_problem(target: bytes, directories: int) -> tuple[str, str] | None:
    """Why a symbolic link in so many directories is not written, and what to do; None if it is.

    ``..`` may only lead: from the link's own directory, which is a real one, up to one that is real too and inside. What
    follows are names in it, links among them held to the same rule. So no chain of links leaves the tree.
    """
    advice = "link to a file of this repository by its relative path"
    if not target:
        return "the link's target is empty", advice
    if problem := text_problem(target):
        return f"the link's target {problem}", advice
    text = target.decode()
    parts = [part for part in text.split("/") if part not in ("", ".")]
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if text.startswith("/"):
        return f"is a link to an absolute path, {text}", advice
    if up > directories:
        return f"is a link out of the repository, {text}", advice
    if any(dot_git(part) for part in parts):
        return f"is a link through .git, {text}", advice
    if ".." in parts[up:]:
        straight = posixpath.normpath(text)
        works = link_problem(straight.encode(), directories) is None
        return f"is a link with .. after a name, {text}", f"write it as {straight}" if works else advice
    return None
