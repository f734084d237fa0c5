"""A backup: a tar archive with a member for each service, and last the manifest, with the size and the hash of each of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, cast

from buildless.errors import NodeError

MANIFEST = "manifest.json"
FORMAT = 1
LONGEST = 1 << 20  # bytes of a manifest
BLOCK = 512
PIECE = 1 << 20

Dump = Callable[[BinaryIO], Optional[Sequence[str]]]
MOST_SAID = 20  # lines about a service


class Hashing(io.RawIOBase):
    """Passes on what is written, and knows how much that was, and its hash."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.file.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)


def write(file: BinaryIO, about: Mapping[str, Any], dumps: Iterable[Tuple[str, Dump]]) -> Dict[str, Any]:
    """Write a backup to a file that can be sought in; returns its manifest. `about` says whose it is."""
    services = []
    time = int(about.get("time", 0))
    for name, dump in dumps:
        start = file.tell()
        file.write(bytes(BLOCK))
        hashing = Hashing(file)
        said = list(dump(cast(BinaryIO, hashing)) or ())
        file.write(bytes(-hashing.size % BLOCK))
        end = file.tell()
        file.seek(start)
        file.write(header(name, hashing.size, time))
        file.seek(end)
        more = [f"and {len(said) - MOST_SAID} more"] if len(said) > MOST_SAID else []
        about_it = {"said": [*said[:MOST_SAID], *more]} if said else {}
        services.append({"service": name, "size": hashing.size, "sha256": hashing.digest.hexdigest(), **about_it})
    manifest = {"format": FORMAT, **about, "services": services}
    text = json.dumps(manifest, indent=1).encode() + b"\n"
    file.write(header(MANIFEST, len(text), time) + text + bytes(-len(text) % BLOCK) + bytes(2 * BLOCK))
    return manifest


def header(name: str, size: int, time: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, time, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


class Backup:
    """A backup in a file, all of it read and found to be whole. Raises NodeError for any other file."""

    def __init__(self, path: Path) -> None:
        try:
            self.tar = tarfile.open(path, "r:")  # noqa: SIM115 - this is the context manager
        except (tarfile.TarError, OSError) as error:
            raise NodeError(f"that is no backup of gitdeploy: {error}; make one: backup APP > FILE") from error
        try:
            self.manifest = self.verified()
        except BaseException as error:
            self.tar.close()
            if isinstance(error, (tarfile.TarError, OSError, ValueError, KeyError, TypeError)):
                raise NodeError(f"the backup is not whole: {error}; nothing was changed, send it again") from error
            raise

    def __enter__(self) -> Backup:
        return self

    def __exit__(self, *args: object) -> None:
        self.tar.close()

    @property
    def services(self) -> List[str]:
        return [one["service"] for one in self.manifest["services"]]

    def open(self, service: str) -> BinaryIO:
        """What was dumped of a service."""
        found = self.tar.extractfile(service)
        assert found is not None
        return cast(BinaryIO, found)

    def verified(self) -> Dict[str, Any]:
        members = self.tar.getmembers()
        if not members or members[-1].name != MANIFEST or not all(member.isreg() for member in members):
            raise ValueError(f"it does not end with {MANIFEST}")
        if any(member.issparse() for member in members):  # a few bytes may stand for as many as there are
            raise ValueError("it has holes, which backups of gitdeploy do not have")
        if members[-1].size > LONGEST:
            raise ValueError(f"its {MANIFEST} is too long")
        manifest: Dict[str, Any] = json.loads(self.open(MANIFEST).read())
        if manifest["format"] != FORMAT:
            raise ValueError(f"it has the format {manifest['format']}, and this gitdeploy reads {FORMAT}")
        expected = [(one["service"], one["size"], one["sha256"]) for one in manifest["services"]]
        found = [(member.name, member.size, hash_of(self.open(member.name))) for member in members[:-1]]
        if found != expected:
            wrong = [one[0] for one in expected if one not in found] or [one[0] for one in found]
            raise ValueError(f"{', '.join(wrong)}: not what its {MANIFEST} says")
        return manifest


def hash_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    for piece in iter(lambda: file.read(PIECE), b""):
        digest.update(piece)
    return digest.hexdigest()
