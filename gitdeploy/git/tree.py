"""The tree that is deployed, as dulwich reads it: its entries, their sizes, what separates it from another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from dulwich.objects import Blob, ObjectID

from ..runner import Command, Runner
from . import inspect
from .inspect import DIRECTORY, Entry, Inspection, Limits
from .repository import Repository
from .stage import GIT_ENVIRON


@dataclass(frozen=True)
class Tree:
    """The entries of the tree `oid`. `quarantine` is the directory of a push's objects while they are not accepted yet."""

    repository: Repository
    oid: str
    quarantine: str | None
    entries: tuple[Entry, ...]

    @classmethod
    def read(cls, repository: Repository, oid: str, quarantine: str | None, limits: Limits) -> Self:
        """List the tree; blocking, for a thread. Raises Refused for one that cannot be read."""
        with repository.objects(quarantine) as store:
            return cls(repository, oid, quarantine, tuple(inspect.entries(store, oid, limits)))

    @cached_property
    def files(self) -> Mapping[str, str]:
        """Path -> blob id, of files and symlinks. Only for a tree that was inspected: its paths are text."""
        return {entry.path.decode(): entry.oid for entry in self.entries if entry.mode != DIRECTORY}

    async def sizes(self, runner: Runner, environ: Mapping[str, str], timeout: float) -> dict[str, int]:
        """The bytes of every blob by its id, from one ``git cat-file --batch-check``, which reads no contents."""
        argv = (
            "git",
            "--git-dir",
            str(self.repository.path),
            "cat-file",
            "--batch-check=%(objectname) %(objectsize)",
            "--buffer",
        )
        wanted = "".join(f"{oid}\n" for oid in inspect.blobs(self.entries)).encode()
        out = await runner.run(Command(argv, {**GIT_ENVIRON, **environ}), stdin=wanted, timeout=timeout)
        return {oid: int(size) for oid, size in (line.split() for line in out.decode().splitlines()) if size.isdigit()}

    def inspect(self, limits: Limits, sizes: Mapping[str, int], accepted: str | None = None) -> Inspection:
        """Whether every entry may be written on a node; blocking, for a thread. `accepted` is a tree that passed already."""
        with self.repository.objects(self.quarantine) as store:
            known = inspect.entries(store, accepted, limits) if accepted is not None else ()
            fresh = {entry.oid for entry in self.entries} - {entry.oid for entry in known}

            def blob(oid: str) -> bytes:
                kind, raw = store.get_raw(ObjectID(oid.encode()))
                return raw if kind == Blob.type_num else b""

            return inspect.inspect(self.entries, limits, sizes, blob, fresh)

    def since(self, base: str) -> tuple[list[str], list[str]]:
        """What separates this tree from the tree `base`: the paths to send, and those of `base` that do not go on as they are."""
        changed, gone = [], []
        with self.repository.objects(self.quarantine) as store:
            for (old, new), _, _ in store.tree_changes(ObjectID(base.encode()), ObjectID(self.oid.encode())):
                if new is not None:
                    changed.append(new.decode())
                if old is not None:
                    gone.append(old.decode())
        return changed, gone
