"""What machines are set up with, read from disk once: the files of node-setup/, the script, and our package buildless."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .fleet import BALANCER, Machine

PACKAGE = "usr/lib/gitdeploy/buildless"
"""Where the node's side of the work is on a node. It is mirrored: what is no part of it any more goes."""

LAID = "etc/gitdeploy/files"
"""The list of what is laid over /, so that the script can remove what was on an earlier list only."""

PROGRAM, SUDOERS, PLAIN = 0o755, 0o440, 0o644


@dataclass(frozen=True, order=True)
class File:
    """A file of a machine: its `path` from /, without the slash."""

    path: str
    mode: int
    content: bytes


@dataclass(frozen=True)
class Outfit:
    """All that one machine gets: the role that `script` is told, and `files`. Two that are equal have the same `version`."""

    role: str
    script: bytes
    files: tuple[File, ...]

    @property
    def version(self) -> str:
        """The set-up version, 12 hexadecimal digits; any change of anything makes it another one."""
        digest = hashlib.sha256()
        for part in (self.role.encode(), self.script, *(part for file in sorted(self.files) for part in _parts(file))):
            digest.update(b"%d:" % len(part) + part)
        return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Kit:
    """What is the same for all machines."""

    script: bytes
    files: tuple[File, ...]

    def outfit(self, machine: Machine, generated: Mapping[str, str]) -> Outfit:
        """What a machine gets: this, and `generated` files of its own by their paths."""
        own = tuple(made(path, text.encode()) for path, text in generated.items())
        listed = sorted(file.path for file in (*self.files, *own) if not file.path.startswith(f"{PACKAGE}/"))
        index = made(LAID, "".join(f"{path}\n" for path in listed).encode())
        role = BALANCER if BALANCER in machine.roles else machine.roles[0]
        return Outfit(role, self.script, tuple(sorted((*self.files, *own, index))))


def read(node_setup: Path, package: Path, rendered: Mapping[str, str]) -> Kit:
    """The kit from the directories node-setup and buildless, and what was `rendered` for all machines, by its paths."""
    root = ((path.relative_to(node_setup / "root"), path) for path in sources(node_setup / "root"))
    ours = ((PACKAGE / path.relative_to(package), path) for path in sources(package))
    files = [made(str(name), path.read_bytes()) for name, path in (*root, *ours)]
    files += [made(path, text.encode()) for path, text in rendered.items()]
    return Kit((node_setup / "setup-node").read_bytes(), tuple(sorted(files)))


def made(path: str, content: bytes) -> File:
    """A file with the mode that it must have; what it has here depends on how gitdeploy was installed."""
    if path.startswith("etc/sudoers.d/"):
        return File(path, SUDOERS, content)
    return File(path, PROGRAM if content.startswith(b"#!") and not path.startswith(PACKAGE) else PLAIN, content)


def sources(directory: Path) -> Iterable[Path]:
    """The files below a directory, without those that Python makes."""
    return (path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _parts(file: File) -> tuple[bytes, ...]:
    return (file.path.encode(), b"%o" % file.mode, file.content)
