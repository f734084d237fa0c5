"""Makes a process an application's own, as far as Python is concerned: sys.path, .pth files, and sitecustomize.py.

Python itself does this for site-packages when it starts, before anybody can name the application's directories, and imports at
most one sitecustomize. So it is done here, in every process of the application, in shells and in tests.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator, List, Sequence, Tuple

from buildless import pth
from buildless.errors import LoadError
from buildless.explanation import cannot

SITECUSTOMIZE = "sitecustomize"


def activate(root: Path, paths: Sequence[str], libraries: Sequence[str]) -> Tuple[str, ...]:
    """Put `root`, its `paths` and `libraries` in front of everything else on sys.path, each with what its .pth files add; run
    the sitecustomize.py of those in the tree that have not run. Returns the directories. Raises LoadError.
    """
    own = [str(root), *(str(root / path) for path in paths)]
    named = list(dict.fromkeys([*own, *libraries]))
    put_first(named)
    found: List[str] = []
    for directory in named:
        found.append(directory)
        top = str(root) if directory in own else directory
        for added in additions(directory, top):
            if added not in named and added not in found:
                found.append(added)
                put_first([*found, *(one for one in named if one not in found)])
    put_first(found)
    for directory in found:
        if directory not in libraries and within(directory, str(root)):
            customize(Path(directory) / (SITECUSTOMIZE + ".py"), root)
    put_first(found)
    return tuple(found)


def put_first(directories: Sequence[str]) -> None:
    """Let sys.path begin with these directories, which then stand there once."""
    sys.path[:] = [*directories, *(path for path in sys.path if path not in directories)]
    importlib.invalidate_caches()


def additions(directory: str, top: str) -> Iterator[str]:
    """The directories that the .pth files of a directory add, in the order of `site`; their code runs in between.

    `top` is the tree that all of it must be in.
    """
    try:
        names = sorted(name for name in os.listdir(directory) if pth.is_pth(name))
    except OSError:
        return  # sys.path may name archives, and what is not there
    for name in names:
        path = Path(directory) / name
        shown = os.path.relpath(path, top)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LoadError(f"{shown} cannot be read: {error.strerror}; remove it, or correct it") from error
        wrong = pth.faults(content, shown, lambda below: os.path.isdir(os.path.join(top, below)), top)
        if wrong:
            raise LoadError("\n".join(wrong))
        for line in pth.lines(content):
            if line.is_code:
                run_line(line, path, shown)
            elif os.path.exists(added := os.path.normpath(os.path.join(directory, line.text))):
                yield added


def run_line(line: pth.Line, path: Path, shown: str) -> None:
    """Run a line of code of a .pth file, with its file and number for tracebacks."""
    try:
        exec(compile("\n" * (line.number - 1) + line.text, str(path), "exec"), {})  # noqa: S102
    except (Exception, SystemExit) as error:
        raise cannot(f"{shown}:{line.number}: the line cannot be run", error) from error


def customize(path: Path, root: Path) -> None:
    """Run a sitecustomize.py if there is one, once in a process.

    The name may belong to another already, which Python imported when it started. This one takes it over; that it has run is
    known by a name that has its path.
    """
    mark = f"{SITECUSTOMIZE} {path}"
    before = sys.modules.get(SITECUSTOMIZE)
    if mark in sys.modules or not path.is_file():
        return
    if before is not None and os.path.realpath(getattr(before, "__file__", None) or "") == os.path.realpath(path):
        sys.modules[mark] = before
        return
    module = ModuleType(SITECUSTOMIZE)
    module.__file__ = str(path)
    sys.modules[mark] = sys.modules[SITECUSTOMIZE] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:
        del sys.modules[mark], sys.modules[SITECUSTOMIZE]
        if before is not None:
            sys.modules[SITECUSTOMIZE] = before
        raise cannot(f"{os.path.relpath(path, root)} cannot be run", error) from error


def within(path: str, top: str) -> bool:
    return path == top or path.startswith(top + os.sep)
