"""Debian packages that an app asks for: apt, without a question, without a second of it where nothing is missing."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Generator, List, Sequence, Tuple

from buildless.errors import NodeError
from buildless.node import facts
from buildless.values import debconf_answer, debian_package

LISTS = Path("/var/lib/apt/lists")
BROKEN_OFF = Path("/var/lib/dpkg/updates")
DAY, HOUR = 86_400.0, 3_600.0  # how old the lists may be, and how old they may be if a package is not in them
UNKNOWN = re.compile(
    r"E: (Unable to locate package|Package '.*' has no installation candidate|Couldn't find any package)"
)
LOCKED = re.compile(r"E: (Could not get lock|Unable to lock)")
ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive",
           "DEBCONF_NONINTERACTIVE_SEEN": "true", "APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_MODE": "l"}  # fmt: skip
NETWORK = ("-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")

Run = Tuple[int, List[str]]
"""An exit code, and all lines that were written."""


def install(debs: Sequence[str], answers: Sequence[str], timeout: float) -> Generator[str, None, Dict[str, Any]]:
    """Install what dpkg says is missing of `debs`; answers for debconf are set before. Says what apt writes.

    Raises NodeError with apt's own words.
    """
    try:
        missing = facts.missing_debs([debian_package(name) for name in debs])
        lines = [debconf_answer(line) for line in answers]
    except ValueError as error:
        raise NodeError(str(error)) from error
    if not missing:
        return {"installed": []}
    deadline = time.monotonic() + timeout
    if BROKEN_OFF.is_dir() and any(BROKEN_OFF.iterdir()):  # a machine that lost its power: apt would not begin
        yield from succeed(("dpkg", "--configure", "-a"), deadline)
    if lines:
        yield from succeed(("debconf-set-selections",), deadline, "\n".join(lines) + "\n")
    if age(time.time()) > DAY:
        yield from update(deadline)
    code, output = yield from run(install_argv(missing, deadline - time.monotonic()), deadline)
    if code and age(time.time()) > HOUR and any(UNKNOWN.match(line) for line in output):
        yield from update(deadline)
        code, output = yield from run(install_argv(missing, deadline - time.monotonic()), deadline)
    if code:
        raise NodeError(reason(output, code))
    return {"installed": missing}


def install_argv(names: Sequence[str], wait: float) -> Tuple[str, ...]:
    """apt's command line; it waits up to `wait` seconds for another one to end. Changed configuration files stay as they are.

    Nothing is ever removed: what conflicts with a package that somebody asks for belongs to the machine, or to another app.
    """
    options = (f"DPkg::Lock::Timeout={max(1, int(wait))}", "Dpkg::Options::=--force-confdef",
               "Dpkg::Options::=--force-confold", "Dpkg::Use-Pty=0", "APT::Color=0")  # fmt: skip
    words = [word for option in options for word in ("-o", option)]
    return (
        "apt-get",
        "install",
        "--yes",
        "-q",
        "--no-install-recommends",
        "--no-remove",
        *words,
        *NETWORK,
        "--",
        *names,
    )


def update(deadline: float) -> Generator[str, None, None]:
    """Fetch the lists of packages. Another apt may hold their lock, for which apt itself does not wait."""
    while True:
        code, output = yield from run(("apt-get", "update", "-q", *NETWORK), deadline)
        if not code:
            os.utime(LISTS)  # where nothing was new apt leaves it as it is
            return
        if not any(LOCKED.match(line) for line in output):
            raise NodeError(reason(output, code))
        time.sleep(1)


def age(now: float) -> float:
    """Seconds since the lists were fetched; very many if there are none."""
    if not any(LISTS.glob("*_Packages*")):
        return float("inf")
    return now - LISTS.stat().st_mtime


def reason(output: Sequence[str], code: int) -> str:
    """apt's own words for what went wrong; all of its output has been said already.

    >>> reason(["Reading package lists...", "E: Unable to locate package nonsense"], 100)
    'apt: Unable to locate package nonsense; change deb in app.yaml, or the package sources of the node'
    >>> reason(["The following packages will be REMOVED:", "  exim4", "E: Packages need to be removed but remove is disabled."], 1)
    'apt: exim4 would be removed for what deb in app.yaml asks for, which conflicts with it; change that, or remove it on the node'
    """
    lines = [*output, ""]
    removed = [lines[at + 1].strip() for at, line in enumerate(output) if "will be REMOVED" in line]
    if removed and any("remove is disabled" in line for line in output):
        conflict = "would be removed for what deb in app.yaml asks for, which conflicts with it"
        return f"apt: {removed[0]} {conflict}; change that, or remove it on the node"
    broken = [f"{line} {lines[at + 1].strip()}" for at, line in enumerate(output) if line.startswith("dpkg: error")]
    errors = broken or [line[2:].strip() for line in output if line.startswith("E:")]
    said = "; ".join(errors) or f"it ended with exit code {code}"
    return f"apt: {said}; change deb in app.yaml, or the package sources of the node"


def succeed(argv: Tuple[str, ...], deadline: float, stdin: str = "") -> Generator[str, None, None]:
    code, _ = yield from run(argv, deadline, stdin)
    if code:
        raise NodeError(f"{argv[0]} ended with exit code {code}; run it on the node to see why")


def run(argv: Tuple[str, ...], deadline: float, stdin: str = "") -> Generator[str, None, Run]:
    """Run a command, saying its lines as they come, until the deadline at most. What dpkg is in the middle of gets to its end."""
    process = subprocess.Popen(
        argv,
        env=ENVIRON,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    output: List[str] = []
    rest = b""
    with process, selectors.DefaultSelector() as selector:
        process.stdin.write(stdin.encode())
        process.stdin.close()
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                process.terminate()
                raise NodeError(f"{argv[0]} did not end in time and was stopped; see what it waits for")
            data = os.read(process.stdout.fileno(), 65536)
            *whole, rest = (rest + data).split(b"\n")
            for line in [*whole, *([rest] if not data and rest else [])]:
                output.append(line.decode("utf-8", "replace").rstrip("\r"))
                yield output[-1]
            if not data:
                return process.wait(), output
