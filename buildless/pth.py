"""The lines of .pth files, which put further directories on sys.path: read as Python's `site` reads them, but relative ones only.

An absolute path is right on the machine of who wrote it and on no other, so it is a fault here, with what to write instead.
"""

from __future__ import annotations

import posixpath
from typing import Callable, Iterator, List, NamedTuple

from buildless.values import quoted

SUFFIX = ".pth"


class Line(NamedTuple):
    """A line that does something (counted from 1): it names a directory, or is code."""

    number: int
    text: str
    is_code: bool


def is_pth(name: str) -> bool:
    """Whether a file of that name is read: no hidden one is.

    >>> is_pth("shop.pth"), is_pth(".shop.pth"), is_pth("shop.py")
    (True, False, False)
    """
    return name.endswith(SUFFIX) and not name.startswith(".")


def lines(content: bytes) -> List[Line]:
    """The lines that do something; comments and empty ones are left out.

    >>> lines(b"# ours\\n../src\\n\\nimport os; os.environ.setdefault('A', 'b')\\n")
    [Line(number=2, text='../src', is_code=False), Line(number=4, text="import os; os.environ.setdefault('A', 'b')", is_code=True)]
    """
    text = content.decode("utf-8-sig", "surrogateescape")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            found.append(Line(number, line.rstrip(), line.startswith(("import ", "import\t"))))
    return found


def faults(content: bytes, filename: str, is_directory: Callable[[str], bool], root: str = "") -> List[str]:
    """``FILE:LINE: ...`` for each line that would not be the same directory wherever the tree is, and what to write instead.

    `filename` is the path of the file in the tree; `is_directory` says of a path in the tree whether it is a directory;
    `root` is where the tree is, if it is known.

    >>> faults(b"/home/alice/shop/src\\n../vendor\\n", "lib/shop.pth", {"src", "vendor"}.__contains__)
    ['lib/shop.pth:1: "/home/alice/shop/src" is an absolute path, which is right on one machine only; write ../src']
    """
    found = []
    here = posixpath.dirname(filename)
    for line in lines(content):
        if line.is_code:
            continue
        where = f"{filename}:{line.number}: {quoted(line.text)}"
        if posixpath.isabs(line.text):
            instead = replacement(here, inside(line.text, is_directory, root))
            found.append(f"{where} is an absolute path, which is right on one machine only; {instead}")
        elif leads_out(here, line.text):
            found.append(f"{where} leads out of the tree; put the directory into the tree, and write the path to that")
    return found


def inside(path: str, is_directory: Callable[[str], bool], root: str) -> str | None:
    """The directory of the tree that an absolute path was probably meant to be; None if it is in none.

    >>> inside("/home/alice/shop/lib/python", {"lib/python", "python"}.__contains__, "")
    'lib/python'
    >>> inside("/srv/shop", bool, "/srv/shop")
    ''
    """
    normal = posixpath.normpath(path)
    if root and (normal == root or normal.startswith(root + "/")):
        return normal[len(root) + 1 :]
    return next((rest for rest in _endings(normal) if is_directory(rest)), None)


def replacement(here: str, target: str | None) -> str:
    """What to do about an absolute path, which was probably meant to be `target`."""
    if target is not None:
        return f"write {relative(here, target)}"
    origin, example = here or "the top of the tree", relative(here, "src")
    return f"put the directory into the tree, and write the path to it from {origin}, such as {example}"


def relative(here: str, target: str) -> str:
    """The path from one directory of the tree to another.

    >>> relative("lib/python", "src/shop"), relative("", "src"), relative("lib", "")
    ('../../src/shop', 'src', '..')
    """
    return posixpath.relpath("/" + target, "/" + here)


def leads_out(here: str, text: str) -> bool:
    """Whether a relative path, from the directory `here` of the tree, is none in the tree.

    >>> leads_out("lib", ".."), leads_out("lib", "../.."), leads_out("", "../other")
    (False, True, True)
    """
    return posixpath.normpath(posixpath.join(here, text)).split("/")[0] == ".."


def _endings(path: str) -> Iterator[str]:
    parts = path.strip("/").split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)) if any(parts))
