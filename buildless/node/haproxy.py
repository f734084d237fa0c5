"""HAProxy on a balancer, as the set-up has left it: whether it runs, and would with the files that are there."""

from __future__ import annotations

import shutil
import subprocess

from buildless.node import systemd
from buildless.node.layout import Layout

TIMEOUT = 30  # seconds for a test of the configuration


def is_well(node: Layout) -> bool:
    """Whether haproxy runs, and takes its configuration (``haproxy -c``)."""
    if shutil.which("haproxy") is None or systemd.quietly("is-active", "--quiet", "haproxy.service").returncode != 0:
        return False
    done = subprocess.run(
        ("haproxy", "-c", "-q", "-f", str(node.root / "etc" / "haproxy" / "haproxy.cfg")), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    return done.returncode == 0
