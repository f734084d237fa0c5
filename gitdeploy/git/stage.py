"""The exact tree of a commit in a directory on the server, kept from deploy to deploy: only what changed is written."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..runner import BASE_ENVIRON, Command, Runner
from .repository import Repository

GIT_ENVIRON: Mapping[str, str] = {**BASE_ENVIRON, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
"""The environment of every git of ours: no configuration but the repository's own."""

ALL_CORES = ("-c", "checkout.workers=0")
"""Many files are written by as many processes as there are cores (git-config(1)): it is the kernel that takes the time."""


class Stage:
    """One staging directory: `tree`, the files; `index`, git's index of them; `dirty`, there while they are being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = path / "tree"

    async def fill(
        self, runner: Runner, repository: Repository, commit: str, environ: Mapping[str, str], timeout: float
    ) -> Path:
        """Make `tree` hold exactly the files of `commit` and return it.

        Takes the variables with which git finds the commit's objects (of a push, its quarantine) and a limit in seconds.
        What an earlier, interrupted run left is thrown away first. Raises CommandFailed, a full disk included.
        """
        dirty = self.path / "dirty"
        if dirty.exists():
            self.clear()
        self.tree.mkdir(parents=True, exist_ok=True)
        dirty.touch()
        argv = (
            "git",
            *ALL_CORES,
            "--git-dir",
            str(repository.path),
            "--work-tree",
            str(self.tree),
            "read-tree",
            "--reset",
            "-u",
            commit,
        )
        env = {**GIT_ENVIRON, **environ, "GIT_INDEX_FILE": str(self.path / "index")}
        await runner.run(Command(argv, env, str(self.tree)), timeout=timeout)
        dirty.unlink()
        return self.tree

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.path, ignore_errors=True)
