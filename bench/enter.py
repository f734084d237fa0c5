"""Goes on in the project's virtual environment if this Python does not have gitdeploy."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path


def enter_environment() -> None:
    """Start the same again with the Python of .venv, which bin/venv makes."""
    if importlib.util.find_spec("gitdeploy") is None:
        venv = Path(__file__).resolve().parents[1] / "bin" / "venv"
        python = subprocess.run(
            [str(venv), "test", "check"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        os.execv(python, [python, *sys.argv])
