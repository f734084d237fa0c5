"""``breakpoint()`` in a request, in development: the debugger talks to the terminal of ``gitdeploy serve``, not to standard input.

PYTHONBREAKPOINT names `pause`, and APP_TERMINAL the terminal, if there is one.
"""

from __future__ import annotations

import os
import pdb
import sys
import threading
from typing import Any

TERMINAL = "APP_TERMINAL"
_one = threading.RLock()


class Debugger(pdb.Pdb):
    """One that reads and writes a terminal, which is for one request at a time."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.terminal = os.fdopen(descriptor, "r+b", buffering=0)
        super().__init__(
            stdin=os.fdopen(os.dup(descriptor), "r", encoding="utf-8", errors="replace"),
            stdout=os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="replace"),
        )

    def interaction(self, *args: Any, **kwargs: Any) -> None:
        with _one:
            super().interaction(*args, **kwargs)


def pause(*args: Any, **kwargs: Any) -> None:
    """Stop in the code that called ``breakpoint()``."""
    path = os.environ.get(TERMINAL)
    if not path:
        sys.stderr.write("breakpoint() does nothing here: gitdeploy serve was not started in a terminal\n")
        return
    Debugger(path).set_trace(sys._getframe(1))
