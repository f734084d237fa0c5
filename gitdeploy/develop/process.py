"""A command of this package as the process that it is. No home of a server is read or made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..local.process import finished, looped
from ..local.terminal import Terminal
from ..runner import Runner
from .call import DevelopCall, DevelopSpec


def run_develop(spec: DevelopSpec, args: list[str]) -> int:
    """Run `spec`; returns its exit status. Raises GitdeployError. A signal cancels it: it tidies up, then ends."""
    from twisted.internet import reactor

    parsed = spec.parser().read(args)
    terminal = Terminal(sys.stdout, sys.stderr, reactor.seconds)
    call = DevelopCall(parsed, terminal, dict(os.environ), Path.cwd(), Runner(reactor))
    return finished(terminal, looped(reactor, lambda: spec.run(call)))
