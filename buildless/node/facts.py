"""What a node can tell about itself: packages, Python, the operating system, free space."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Set

PYTHON_TIMEOUT = 20  # seconds
DPKG_TIMEOUT = 60  # seconds

ROOM = "see what fills it (df -h), make room on it, or keep fewer versions (keep: versions in gitdeploy.yaml), then push again"
"""What to do where a disk is full."""


def missing_debs(names: Iterable[str]) -> List[str]:
    """Those of the Debian packages `names` that are not installed, as dpkg-query(1) says."""
    wanted = list(names)
    if not wanted:
        return []
    query = shutil.which("dpkg-query")
    if query is None:
        return wanted
    done = subprocess.run(
        [
            query,
            "--show",
            "--showformat=${db:Status-Status} ${binary:Package} ${Package} ${Provides}\\n",
            "--",
            *wanted,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=DPKG_TIMEOUT,
        check=False,
        text=True,
    )
    there: Set[str] = set()
    for line in done.stdout.splitlines():
        status, _, names_of = line.partition(" ")
        if status == "installed":
            there.update(name.strip(",") for name in names_of.split())
    return [name for name in wanted if name not in there]


def python_version(interpreter: str) -> List[int]:
    """``[3, 11, 2]`` of the interpreter that applications run under. Raises OSError or CalledProcessError.

    On a machine that is the one that runs this; to start another only to ask it takes longer than the rest of the survey.
    """
    if os.path.samefile(interpreter, sys.executable) and sys.prefix == sys.base_prefix:
        return list(sys.version_info[:3])
    code = "import json, sys; print(json.dumps(sys.version_info[:3]))"
    done = subprocess.run(
        [interpreter, "-I", "-S", "-c", code], stdout=subprocess.PIPE, timeout=PYTHON_TIMEOUT, check=True
    )
    return list(json.loads(done.stdout))


def first_line(path: Path) -> str | None:
    """The first line of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None


def operating_system() -> List[str]:
    """The names this system goes by: ``posix``, ``linux``, and ID and ID_LIKE of os-release(5)."""
    names = [os.name, os.uname().sysname.lower()]
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return names
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in ("ID", "ID_LIKE"):
            names.extend(value.strip("\"'").split())
    return names


def free_space(directory: Path) -> Dict[str, Any]:
    """Bytes and inodes that can still be written below `directory` (statvfs(3))."""
    status = os.statvfs(directory)
    # Some filesystems (btrfs) do not count inodes and say 0 of 0.
    return {"bytes": status.f_bavail * status.f_frsize, "inodes": status.f_favail if status.f_files else None}
