"""What is vendored in a directory: ``vendored.txt``, a file of requirements, and the files of each package by its RECORD."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from buildless.node.wheels import logical_lines

from ..errors import Refused

FILENAME = "vendored.txt"
HEAD = (
    "# Made by: gitdeploy vendor PACKAGE. `gitdeploy vendor` without packages makes this directory what is said here.\n"
)
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)((?:\s+--hash=sha256:[0-9a-f]{64})+)")


@dataclass(frozen=True, order=True)
class Pin:
    """A package as it is recorded: its normal name, its version, and the SHA-256 of its wheel."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    def lines(self) -> str:
        return " \\\n    ".join([str(self), *(f"--hash=sha256:{one}" for one in self.hashes)]) + "\n"


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(into: Path) -> dict[str, Pin]:
    """The packages that are recorded, by name. Raises Refused for a line that is none of ours."""
    try:
        text = (into / FILENAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        raise Refused(f"{into / FILENAME} cannot be read ({error}); take it from git again") from error
    found = {}
    for number, line in logical_lines(text):
        match = _LINE.fullmatch(line)
        if match is None:
            raise Refused(f"{into / FILENAME}:{number}: write NAME==VERSION --hash=sha256:..., or take the line out")
        name = normal(match[1])
        found[name] = Pin(name, match[2], tuple(re.findall(r"sha256:([0-9a-f]{64})", match[3])))
    return found


def write(into: Path, pins: Iterable[Pin]) -> None:
    """Record `pins`, all there are."""
    new = into / f".{FILENAME}.new"
    new.write_text(HEAD + "".join(pin.lines() for pin in sorted(pins)), encoding="utf-8")
    new.replace(into / FILENAME)


@dataclass(frozen=True)
class Installed:
    """A package in a directory; `info` is its .dist-info."""

    top: Path
    info: Path

    @property
    def name(self) -> str:
        return normal(self.info.name.removesuffix(".dist-info").rpartition("-")[0])

    @property
    def version(self) -> str:
        return self.info.name.removesuffix(".dist-info").rpartition("-")[2]

    def record(self) -> list[tuple[str, str]]:
        """Its files below the directory, each with its hash as RECORD has it; those of .dist-info come first."""
        try:
            with (self.info / "RECORD").open(encoding="utf-8", newline="") as file:
                rows = [(os.path.normpath(row[0]), row[1] if len(row) > 1 else "") for row in csv.reader(file) if row]
        except (OSError, UnicodeError):
            return []
        inside = [(path, digest) for path, digest in rows if path != "." and not path.startswith(("/", ".."))]
        return sorted(inside, key=lambda row: (not row[0].startswith(f"{self.info.name}/"), row[0]))

    def paths(self) -> list[str]:
        own = [str(path.relative_to(self.top)) for path in self.info.rglob("*") if not path.is_dir()]
        return list(dict.fromkeys([*own, *(path for path, _ in self.record())]))

    def whole(self) -> bool:
        """Whether every file of it is there as it was."""
        rows = self.record()
        return bool(rows) and all(matches(self.top / path, digest) for path, digest in rows)

    def remove(self) -> None:
        """Remove its files, .dist-info last, and the directories that are empty then."""
        for path in reversed(self.paths()):
            (self.top / path).unlink(missing_ok=True)
            parent = (self.top / path).parent
            while (
                parent != self.top
                and parent.is_dir()
                and not [one for one in parent.iterdir() if one.name != "__pycache__"]
            ):
                for compiled in parent.rglob("*.pyc"):
                    compiled.unlink()
                for directory in (parent / "__pycache__", parent):
                    if directory.is_dir():
                        directory.rmdir()
                parent = parent.parent


def matches(path: Path, digest: str) -> bool:
    """Whether a file has the hash that a RECORD gives; one without a hash must only be there."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    kind, _, value = digest.partition("=")
    if kind != "sha256":
        return True
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode() == value.rstrip("=")


def installed(top: Path) -> Iterator[Installed]:
    """The packages in a directory."""
    return (Installed(top, info) for info in sorted(top.glob("*-*.dist-info")))
