"""What processes of an application need of ours, in a directory of its own: any Python finds it there, and nothing else of ours."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from pathlib import Path

LIBRARIES = ("buildless", "gunicorn", "packaging", "yaml")
"""What the web process type needs beside the application: our own copies, whichever Python runs it."""


def link_libraries(directory: Path) -> None:
    """Make the directory, with a link to each. One that is right is left alone: processes that run may be about to use it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            continue
        link, target = directory / name, os.path.realpath(next(iter(spec.submodule_search_locations)))
        with contextlib.suppress(OSError):
            if os.readlink(link) == target:
                continue
        new = directory / f".{name}-{os.getpid()}"
        new.symlink_to(target)
        new.replace(link)
