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


NODES = """Benchmarks with nodes
=====================

Written by ``bench/nodes`` on {date}: {cores} cores, {memory:.0f} GB of memory, {versions}; the {nodes} nodes are nspawn machines
of ``create-node`` on the same machine, which all of them share.

The baseline is what one would write by hand: OpenSSH's server, a bare repository, and a ``post-receive`` hook that checks out
with a kept index, sends with ``rsync -a --delete --link-dest`` over a kept connection, flips a symlink, restarts gunicorn and
asks once; to all nodes in parallel where there are several. It exits with 0 on a broken commit, leaves the ref moved, and
drops requests.
Both take turns in one run, with the same client, nodes, and application ({files:,} files). Seconds are medians; only the ratios
mean something on another machine.

{body}
"""


FAILSAFE = """The fail-safe list
==================

Written by ``bench/failsafe`` on {date}: {cores} cores, {memory:.0f} GB of memory, {versions}, on an nspawn machine of
``create-node``.

It is the list of "The Web Server Benchmarking We Need": what do good requests see while some requests are bad? 30 requests a second
come for {seconds} s, whether or not earlier ones have been answered, a share of them bad; then only good ones. *good* is the
share of good requests that were answered well within 10 s, *stall* the longest time in which none was,
*recovery* the time from the last bad request until all good ones are answered within a second.

{body}

What holds the global interpreter lock is the one thing that cannot be seen from inside its process: it ends when gunicorn's master
misses its heartbeat, 7 s later, and with three such requests a second all four processes are held most of the time.
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
    """The page of bench/push for docs/, with the date and what the machine is, and nothing that names it."""
    return filled(PAGE, body, python, files=files)


def nodes_page(body: str, files: int, nodes: int) -> str:
    """The same for bench/nodes."""
    return filled(NODES, body, "/usr/bin/python3", files=files, nodes=nodes)


def failsafe_page(body: str, seconds: float) -> str:
    """The same for bench/failsafe."""
    return filled(FAILSAFE, body, "/usr/bin/python3", seconds=int(seconds))


def filled(template: str, body: str, python: str, **values: int) -> str:
    names = {"git": ("git", "--version"), "OpenSSH": ("ssh", "-V"), "Python": (python, "--version")}
    versions = ", ".join(f"{name} {version(*argv)}" for name, argv in names.items())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    text = template.format(
        date=time.strftime("%Y-%m-%d"),
        cores=len(os.sched_getaffinity(0)),
        memory=memory,
        versions=f"{versions} ({platform.machine()})",
        body=body,
        **values,
    )
    return text.rstrip() + "\n"
