"""An app's bare repository, read and written with dulwich; git itself receives into it.

One repository holds all environments of an app, each in a git namespace of its own (gitnamespaces(7)), so that they share
objects: promoting what staging has sends next to nothing. Beside the namespaces, ``refs/versions/COMMIT`` keeps the commits
that nodes have; git offers these to whoever pushes (as ``.have``), so that no version is sent twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dulwich.object_store import BaseObjectStore, DiskObjectStore, OverlayObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

PREPARE = "refs/heads/prepare"
"""What is pushed to this branch becomes a release that can be looked at, and is not made live."""

CONFIG: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("receive",): {
        "unpackLimit": "1",  # always keep the pack: 2.6 x slower without
        "fsckObjects": "true",
        "autogc": "false",  # the server does it after a deploy, not the pusher while he waits
        "denyDeletes": "false",  # the gate knows which, and says why
    },
    # Old slips of other tools in commits that are long published; they do no harm to a tree.
    ("receive", "fsck"): {
        "zeroPaddedFilemode": "warn",
        "badTimezone": "warn",
        "missingSpaceBeforeDate": "warn",
        "missingSpaceBeforeEmail": "warn",
    },
    ("core",): {
        "bigFileThreshold": "16777216",  # plain bytes: dulwich cannot parse 16m
        "logAllRefUpdates": "true",
        "autocrlf": "false",
        "protectHFS": "true",
        "protectNTFS": "true",
    },
    ("gc",): {"autoDetach": "false", "packRefs": "false"},
}
ATTRIBUTES = "* -text -eol -crlf -ident -filter -working-tree-encoding -export-ignore -export-subst\n"
"""$GIT_DIR/info/attributes, above everything in the tree (gitattributes(5)): files are the blobs, byte for byte."""


@dataclass(frozen=True)
class CommitInfo:
    """What is shown of a commit."""

    oid: str
    tree: str
    subject: str
    author: str


@dataclass(frozen=True)
class ReleaseTag:
    """A release as it is recorded in refs/releases: number, commit, who, when (POSIX seconds), and the lines of its message."""

    number: int
    commit: str
    user: str
    time: int
    message: str


class Repository:
    """The bare repository at `path`. Its methods are quick, blocking file operations, safe beside a running git."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make it, configured, if it is not there whole."""
        if self.exists:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        repo = Repo.init_bare(self.path)
        config = repo.get_config()
        for section, values in CONFIG.items():
            for key, value in values.items():
                config.set(tuple(name.encode() for name in section), key.encode(), value.encode())
        config.write_to_path()
        repo.close()
        (self.path / "info").mkdir(exist_ok=True)
        (self.path / "info" / "attributes").write_text(ATTRIBUTES, encoding="ascii")

    @property
    def exists(self) -> bool:
        return (self.path / "info" / "attributes").exists()

    @contextmanager
    def opened(self) -> Iterator[Repo]:
        repo = Repo(self.path)
        try:
            yield repo
        finally:
            repo.close()

    @contextmanager
    def objects(self, quarantine: str | None = None) -> Iterator[BaseObjectStore]:
        """The object store, with the objects of a push that lie in its `quarantine` directory (git-receive-pack(1))."""
        with self.opened() as repo:
            if quarantine is None:
                yield repo.object_store
                return
            incoming = DiskObjectStore(quarantine)
            try:
                # a miss costs as much as an object: at a first push the repository has nothing, and is asked last
                stores = sorted((repo.object_store, incoming), key=lambda store: not store.packs)
                yield OverlayObjectStore([*stores])
            finally:
                incoming.close()

    def ref(self, environment: str, name: str) -> str | None:
        """The object that `name` (``refs/heads/master``) points to in an environment, or None."""
        with self.opened() as repo:
            try:
                return repo.refs[namespaced(environment, name)].decode()
            except KeyError:
                return None

    def refs(self, environment: str) -> dict[str, str]:
        """All refs of an environment by their name in it."""
        base = f"refs/namespaces/{environment}/".encode()
        with self.opened() as repo:
            names = [name for name in repo.refs.allkeys() if name.startswith(base + b"refs/")]
            return {name[len(base) :].decode(): repo.refs[name].decode() for name in names}

    def environments(self) -> set[str]:
        """The environments that have a branch here, whether there still are such or not."""
        if not self.exists:
            return set()
        with self.opened() as repo:
            found = [name.decode().split("/") for name in repo.refs.allkeys() if name.startswith(b"refs/namespaces/")]
        return {parts[2] for parts in found if parts[3:5] == ["refs", "heads"]}

    def release_names(self, environment: str) -> list[str]:
        """The refs of all releases, in no order."""
        return [name for name in self.refs(environment) if name.startswith("refs/releases/v")]

    def has_refs(self) -> bool:
        """Whether anything was ever accepted into it."""
        if not self.exists:
            return False
        with self.opened() as repo:
            return any(name != b"HEAD" for name in repo.refs.allkeys())

    def head(self, environment: str) -> str | None:
        """The branch that is deployed in an environment (``refs/heads/master``): its HEAD; None before the first push."""
        with self.opened() as repo:
            target = repo.refs.get_symrefs().get(namespaced(environment, "HEAD"))
        heads = [name for name in self.refs(environment) if name.startswith("refs/heads/")]
        named = target.decode().removeprefix(f"refs/namespaces/{environment}/") if target else None
        if named in heads:
            return named
        others = [name for name in heads if name != PREPARE]
        return others[0] if len(others) == 1 else None  # the server was killed before it could write HEAD

    def set_head(self, environment: str, branch: str) -> None:
        """Make `branch` the one that is deployed. Another one that was before goes: a push to it later must not be up to date."""
        others = {name for name in self.refs(environment) if name.startswith("refs/heads/")} - {branch, PREPARE}
        with self.opened() as repo:
            for name in others:
                repo.refs.remove_if_equals(namespaced(environment, name), None)
            repo.refs.set_symbolic_ref(namespaced(environment, "HEAD"), namespaced(environment, branch))

    def move(self, environment: str, name: str, old: str, new: str) -> bool:
        """Point a ref to `new` if it still points to `old`; says whether it did."""
        with self.opened() as repo:
            return bool(
                repo.refs.set_if_equals(
                    namespaced(environment, name), ObjectID(old.encode()), ObjectID(new.encode()), message=b"gitdeploy"
                )
            )

    def commit(self, oid: str, quarantine: str | None = None) -> CommitInfo | None:
        """The commit `oid`, which may be an annotated tag's id; None if it is something else or not there."""
        with self.objects(quarantine) as store:
            try:
                found = store[ObjectID(oid.encode())]
                while isinstance(found, Tag):
                    found = store[found.object[1]]
            except KeyError:
                return None
            if not isinstance(found, Commit):
                return None
            subject = found.message.decode("utf-8", "replace").strip().partition("\n")[0]
            author = found.author.decode("utf-8", "replace").partition(" <")[0]
            return CommitInfo(found.id.decode(), found.tree.decode(), subject, author)

    def file(self, tree: str, path: str, quarantine: str | None = None) -> bytes | None:
        """The content of the regular file `path`, at the root of `tree`; None if there is none."""
        with self.objects(quarantine) as store:
            root = store[ObjectID(tree.encode())]
            if not isinstance(root, Tree) or path.encode() not in root:
                return None
            blob = store[root[path.encode()][1]]
            return blob.data if isinstance(blob, Blob) else None

    def blob(self, oid: str, quarantine: str | None = None) -> bytes:
        """The content of the blob `oid`, which must be there."""
        with self.objects(quarantine) as store:
            found = store[ObjectID(oid.encode())]
            assert isinstance(found, Blob)
            return found.data

    def keep(self, commits: set[str]) -> None:
        """Let refs/versions hold exactly `commits` (and what else was added since this was worked out is kept, too)."""
        with self.opened() as repo:
            there = {name: repo.refs[name] for name in repo.refs.allkeys() if name.startswith(b"refs/versions/")}
            for name, oid in there.items():
                if oid.decode() not in commits:
                    repo.refs.remove_if_equals(name, oid)
            for commit in commits:
                if (name := Ref(f"refs/versions/{commit}".encode())) not in there and ObjectID(
                    commit.encode()
                ) in repo.object_store:
                    repo.refs.set_if_equals(name, None, ObjectID(commit.encode()))

    def forget(self, environment: str) -> None:
        """Delete all refs of an environment; what nothing else refers to is git's to collect."""
        base = f"refs/namespaces/{environment}/".encode()
        with self.opened() as repo:
            for name in [name for name in repo.refs.allkeys() if name.startswith(base)]:
                repo.refs.remove_if_equals(name, None)

    def record(self, environment: str, release: ReleaseTag) -> None:
        """Write a release as an annotated tag, refs/releases/vN; one of that number that is there already stays."""
        tag = Tag()
        tag.name = f"v{release.number}".encode()
        tag.object = (Commit, ObjectID(release.commit.encode()))
        tag.tagger = f"{release.user} <{release.user}>".encode()
        tag.tag_time, tag.tag_timezone = release.time, 0
        tag.message = release.message.encode()
        with self.opened() as repo:
            repo.object_store.add_object(tag)
            repo.refs.add_if_new(namespaced(environment, f"refs/releases/v{release.number}"), tag.id)

    def releases(self, environment: str, latest: int | None = None) -> list[ReleaseTag]:
        """The releases of an environment, oldest first; only the `latest` ones, if that says how many."""
        numbers = sorted(int(name.removeprefix("refs/releases/v")) for name in self.release_names(environment))
        found = []
        with self.opened() as repo:
            for number in numbers[-latest:] if latest else numbers:
                tag = repo[repo.refs[namespaced(environment, f"refs/releases/v{number}")]]
                if isinstance(tag, Tag):
                    user = (tag.tagger or b"").decode().partition(" <")[0]
                    message, time = (tag.message or b"").decode(), int(tag.tag_time or 0)
                    found.append(ReleaseTag(number, tag.object[1].decode(), user, time, message))
        return found


def namespaced(environment: str, name: str) -> Ref:
    """The full name of a ref in the namespace of an environment (gitnamespaces(7))."""
    return Ref(f"refs/namespaces/{environment}/{name}".encode())
