"""What Python compiled when its packages were installed, for an app whose compiled modules are in a directory of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Iterable

ENDING = f".{sys.implementation.cache_tag}.pyc"


def link_installed(prefix: Path, tops: Iterable[str]) -> None:
    """Let Python find below `prefix` (PYTHONPYCACHEPREFIX) what lies compiled beside the sources in the directories `tops`.

    Without it all processes of a new app compile what they import of the standard library, each for itself and all at once. A link
    is replaced by Python like any other file when its source is another one (PEP 3147).
    """
    for top in tops:
        for directory, _, names in os.walk(top):
            into, last = os.path.split(directory)
            if last == "__pycache__":
                os.makedirs(f"{prefix}{into}", exist_ok=True)
                for name in names:
                    if name.endswith(ENDING):
                        os.symlink(f"{directory}/{name}", f"{prefix}{into}/{name}")
