"""A server that reads its files when it starts is started anew for others: at once, or after whoever was killed before that.

Else it would run with what it read before, and nobody would know: the files are as they are to be.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping

from buildless.node import systemd
from buildless.node.layout import Layout
from buildless.node.writing import write


def due(layout: Layout, unit: str) -> Path:
    """A file that is there while a unit has not been started anew. A boot does that, and takes the file along."""
    return layout.run / f"{unit}.due"


def is_due(layout: Layout, unit: str) -> bool:
    return due(layout, unit).exists()


def written(layout: Layout, unit: str, files: Mapping[Path, str], put: Callable[[Path, str], object] = write) -> bool:
    """Write what a unit reads when it starts, each file with `put`; says whether it has to be started anew, which `done` ends."""
    if any(differs(*file) for file in files.items()):
        layout.run.mkdir(parents=True, exist_ok=True)
        due(layout, unit).touch()
    for path, text in files.items():
        put(path, text)
    return is_due(layout, unit)


def differs(path: Path, text: str) -> bool:
    """Whether a file has another text, or is not there."""
    return not path.is_file() or path.read_text(encoding="utf-8") != text


def restart(layout: Layout, unit: str) -> None:
    systemd.ask("restart", unit, timeout=systemd.STOP)
    done(layout, unit)


def done(layout: Layout, unit: str) -> None:
    """It has been started anew, or is no more."""
    due(layout, unit).unlink(missing_ok=True)
