"""What would be pushed from a directory: the commit at HEAD; or, where there is none yet, the files that git would take."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dulwich.ignore import IgnoreFilterManager
from dulwich.index import blob_from_path_and_stat, commit_tree
from dulwich.objects import Blob, ObjectID

from ..errors import CommandFailed, Refused
from ..git.inspect import EXECUTABLE, FILE, LINK, SUBMODULE
from ..git.repository import Repository
from ..runner import Command, Runner

LIMIT = 120.0  # seconds that a git may take


@dataclass
class Checkout:
    """The directory `top`; `what` says what is looked at, `notes` what whoever pushes should know besides."""

    runner: Runner
    environ: Mapping[str, str]
    top: Path
    commit: str | None = None
    what: str = ""
    notes: list[str] = field(default_factory=list)
    uncommitted: list[str] = field(default_factory=list)

    @classmethod
    async def find(cls, runner: Runner, environ: Mapping[str, str], directory: Path) -> Checkout:
        """The repository that `directory` is in, or `directory` alone. Raises Refused with git's words where git fails."""
        kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or "CONFIG" in name}
        found = cls(runner, {**kept, "LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"}, directory)
        found.what = f"the files in {directory}"
        try:
            top = await found.git("rev-parse", "--show-toplevel")
        except CommandFailed as error:
            if any("not a git repository" in line for line in error.details):
                found.notes.append(
                    f"{directory} is no git repository yet; to push it: git init, git add -A, git commit"
                )
                return found
            raise Refused("git does not read this repository", *error.details[1:]) from error
        found.top = Path(top.removesuffix("\n"))
        if found.top != directory:
            found.notes.append(f"{directory} is in the repository {found.top}, all of which would be pushed")
        await found.read()
        return found

    async def read(self) -> None:
        if (await self.git("rev-parse", "--show-object-format")).strip() != "sha1":
            raise Refused(
                "the repository has object ids of SHA-256, which the server does not take; make one with SHA-1"
            )
        try:
            self.commit = (await self.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")).strip()
        except CommandFailed:
            self.what = f"the files in {self.top}"
            self.notes.append("there is no commit to push yet; make one: git add -A, git commit")
            return
        subject = (await self.git("show", "--no-patch", "--format=%s", self.commit)).strip()
        self.what = f"{self.commit[:7]} {subject!r}"
        status = await self.git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
        self.uncommitted = [line[3:] for line in status.split("\0") if line]

    async def git(self, *words: str) -> str:
        """What a git in the directory prints."""
        out = await self.runner.run(Command(("git", *words), self.environ, str(self.top)), timeout=LIMIT)
        return out.decode("utf-8", "surrogateescape")

    async def tree(self, repository: Repository) -> str:
        """The id of the tree that would be pushed; `repository`, which is new, finds its objects after this."""
        if self.commit is None:
            with repository.opened() as repo:
                return commit_tree(repo.object_store, list(self.entries(repo.object_store.add_object))).decode()
        objects = self.top / (await self.git("rev-parse", "--git-path", "objects")).removesuffix("\n")
        (repository.path / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (repository.path / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects.resolve()) + b"\n")
        return (await self.git("rev-parse", f"{self.commit}^{{tree}}")).strip()

    def entries(self, add: Callable[[Blob], None]) -> Iterator[tuple[bytes, ObjectID, int]]:
        """What ``git add -A`` would take: path, id and mode of each file, link and repository inside; blobs go to `add`."""
        ignored = IgnoreFilterManager(str(self.top), [], False)
        for directory, names, files in os.walk(self.top):
            below = os.path.relpath(directory, self.top)
            prefix = "" if below == "." else f"{below}/"
            links = [name for name in names if os.path.islink(os.path.join(directory, name))]
            names[:] = [name for name in names if name not in links and not ignored.is_ignored(f"{prefix}{name}/")]
            for name in [one for one in names if os.path.exists(os.path.join(directory, one, ".git"))]:
                names.remove(name)
                yield os.fsencode(prefix + name), ObjectID(b"0" * 40), SUBMODULE
            if ".git" in names:
                names.remove(".git")
            for name in (*files, *links):
                path = os.path.join(directory, name)
                state = os.lstat(path)
                if ignored.is_ignored(prefix + name) or not (
                    stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)
                ):
                    continue
                blob = blob_from_path_and_stat(os.fsencode(path), state)
                add(blob)
                mode = LINK if stat.S_ISLNK(state.st_mode) else EXECUTABLE if state.st_mode & 0o100 else FILE
                yield os.fsencode(prefix + name), blob.id, mode
