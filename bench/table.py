"""The results as text: a grid for the terminal, which is an rst table at the same time, and the page for the documentation."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence

PAGE = """Benchmarks
==========

Written by ``bench/push`` on {date}: {cores} cores, {memory:.0f} GB of memory, {versions}.

The baseline is what one would set up by hand: OpenSSH's server, a bare repository, and a ``post-receive`` hook that checks the
tree out and starts gunicorn again. Both take turns in one run, on one machine, with the same client, application ({files:,} files)
and Python, gunicorn with 4 processes of 5 threads. Seconds are medians; only the ratios mean something on another machine.
gitdeploy does more in its time: it checks the tree, starts the new release beside the old one, asks it, and drops no request.

{body}
"""


def grid(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An rst section with a simple table."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)

    def line(row: Sequence[str]) -> str:
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join([row[0].ljust(widths[0]), *rest]).rstrip()

    return "\n".join([title, "-" * len(title), "", rule, line(head), rule, *map(line, rows), rule, ""])


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def compared(
    rows: Sequence[tuple[str, float, float]], ours: str = "gitdeploy", theirs: str = "sshd"
) -> list[list[str]]:
    """Rows of a comparison, from what, our and their seconds: the ratio is below 1 where we are faster."""
    return [[what, seconds(us), seconds(them), f"{us / them:.2f}"] for what, us, them in rows]


def version(*argv: str) -> str:
    """The first version number that a program says."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"\d+(\.\d+)+(p\d+)?", done.stdout + done.stderr)
    return found[0] if found else "?"


def page(body: str, files: int, python: str) -> str:
    """The page for docs/, with the date and what the machine is, and nothing that names it."""
    names = {"git": ("git", "--version"), "OpenSSH": ("ssh", "-V"), "Python": (python, "--version")}
    versions = ", ".join(f"{name} {version(*argv)}" for name, argv in names.items())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    text = PAGE.format(
        date=time.strftime("%Y-%m-%d"),
        cores=len(os.sched_getaffinity(0)),
        memory=memory,
        versions=f"{versions} ({platform.machine()})",
        files=files,
        body=body,
    )
    return text.rstrip() + "\n"
