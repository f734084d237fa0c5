"""Config vars of an app, with their history: a bare repository of their own, which nobody can push to or fetch from.

Its branches are the environments. A tree has a file for each variable in ``vars``, in ``scale`` one for each process type
whose number was chosen, and in ``files`` those of the configuration; so ``git log -p production`` there says who changed what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dulwich.index import commit_tree
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from ..errors import Refused

FILE = 0o100644
VARS, SCALE, FILES = "vars", "scale", "files"


@dataclass(frozen=True)
class ConfigVars:
    """What is set for an app in an environment: `variables`, how many processes of a type run (`scale`), and the `files` of its
    configuration by their paths.

    `id` is the commit that has it, empty where nothing was ever set.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    scale: Mapping[str, int] = field(default_factory=dict)
    id: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


class ConfigStore:
    """The config vars of one app, in the bare repository at `path`, which is made when there is something to keep."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, environment: str) -> ConfigVars:
        """What is set in an environment."""
        if not self.path.exists():
            return ConfigVars()
        with Repo(self.path) as repo:
            try:
                oid = repo.refs[branch(environment)]
            except KeyError:
                return ConfigVars()
            commit = repo[oid]
            assert isinstance(commit, Commit)
            found: dict[str, dict[str, bytes]] = {name: {} for name in (VARS, SCALE, FILES)}
            for entry in iter_tree_contents(repo.object_store, commit.tree):
                kind, _, name = entry.path.decode().partition("/")
                blob = repo[entry.sha]
                assert isinstance(blob, Blob)
                found[kind][name] = blob.data
        variables = {name: text.decode() for name, text in found[VARS].items()}
        scale = {name: int(text) for name, text in found[SCALE].items()}
        return ConfigVars(variables, scale, oid.decode(), found[FILES])

    def propose(self, environment: str, config: ConfigVars, user: str, message: str, time: float) -> ConfigVars:
        """Write `config`, which was read and then changed, as it would be next; it does not count before `accept`."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        texts = {
            **{f"{VARS}/{name}": text.encode() for name, text in config.variables.items()},
            **{f"{SCALE}/{name}": str(number).encode() for name, number in config.scale.items()},
            **{f"{FILES}/{name}": content for name, content in config.files.items()},
        }
        with Repo(self.path) if self.path.exists() else Repo.init_bare(self.path, mkdir=True) as repo:
            blobs = {path.encode(): Blob.from_string(content) for path, content in texts.items()}
            for blob in blobs.values():
                repo.object_store.add_object(blob)
            commit = Commit()
            commit.tree = commit_tree(repo.object_store, [(path, blob.id, FILE) for path, blob in blobs.items()])
            commit.parents = [ObjectID(config.id.encode())] if config.id else []
            commit.author = commit.committer = f"{user} <{user}>".encode()
            commit.author_time = commit.commit_time = int(time)
            commit.author_timezone = commit.commit_timezone = 0
            commit.message = message.encode() + b"\n"
            repo.object_store.add_object(commit)
            return replace(config, id=commit.id.decode())

    def forget(self, environment: str) -> None:
        """Let nothing be set in an environment."""
        if self.path.exists():
            with Repo(self.path) as repo:
                repo.refs.remove_if_equals(branch(environment), None)

    def accept(self, environment: str, before: ConfigVars, after: ConfigVars) -> None:
        """Let `after`, which was proposed, count in place of `before`. Raises Refused if something else does by now."""
        new = ObjectID(after.id.encode())
        with Repo(self.path) as repo:
            if before.id:
                done = repo.refs.set_if_equals(branch(environment), ObjectID(before.id.encode()), new)
            else:
                done = repo.refs.add_if_new(branch(environment), new)
        if not done:
            raise Refused("the config vars were changed by somebody else meanwhile; look at them and try again")


def branch(environment: str) -> Ref:
    return Ref(f"refs/heads/{environment}".encode())
