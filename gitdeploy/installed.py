"""Where the files that come with gitdeploy are: in the package when it is installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def directory(name: str) -> Path:
    """``hooks`` or ``node-setup``."""
    installed = PACKAGE / ("_" + name.replace("-", "_"))
    return installed if installed.is_dir() else PACKAGE.parent / name
