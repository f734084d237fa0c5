"""A command of this package as its module sees it: what was typed, where, and the means to act."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..local.call import Spec
from ..local.terminal import Terminal
from ..runner import Runner


@dataclass(frozen=True)
class DevelopCall:
    """`environ` and `directory` are those of the person who typed it."""

    args: argparse.Namespace
    terminal: Terminal
    environ: Mapping[str, str]
    directory: Path
    runner: Runner

    def say(self, line: str) -> None:
        self.terminal.say(line)


DevelopSpec = Spec[DevelopCall]
