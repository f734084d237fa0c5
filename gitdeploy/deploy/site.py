"""What deploys share: the parts of a running server that a deploy works with, and where its files are."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..config import Config, Environment
from ..errors import NotFound
from ..git.repository import Repository
from ..git.stage import GIT_ENVIRON, Stage
from ..names import Place, nearest, quoted
from ..nodes.node import Node
from ..runner import Command, Runner
from . import stages
from .journal import Journal
from .queue import Queue

log = Logger()

if TYPE_CHECKING:
    from .pipeline import Deploy


@dataclass
class Site:
    """A server's parts. `config` is replaced when it is read again; a deploy under way keeps the one it began with."""

    reactor: Any
    runner: Runner
    home: Path
    config: Config
    nodes: dict[str, Node]
    journal: Journal
    queue: Queue
    active: set[Deploy] = field(default_factory=set)
    visitors: Counter[str] = field(default_factory=Counter)
    stopping: bool = False
    offline: bool = False  # no server runs: only files can be looked at

    @property
    def repositories(self) -> Path:
        return self.home / "repositories"

    def repository(self, app: str) -> Repository:
        """The repository of an app, which may not exist yet."""
        return Repository(self.repositories / f"{app}.git")

    def apps(self) -> list[str]:
        """The apps there are, by name."""
        return sorted(path.name.removesuffix(".git") for path in self.repositories.glob("*.git"))

    def existing(self, app: str) -> Repository:
        """The repository of an app that must be there; NotFound names the nearest one."""
        if app not in self.apps():
            guess = nearest(app, self.apps())
            raise NotFound(
                f"there is no app {quoted(app)}; " + (f"did you mean {guess}?" if guess else "push one, or see: apps")
            )
        return self.repository(app)

    @contextmanager
    def receiving(self, app: str) -> Iterator[Repository]:
        """The repository of an app while somebody pushes to it: made for the first push, gone again if that leaves nothing."""
        repository = self.repository(app)
        self.visitors[app] += 1
        try:
            repository.create()
            yield repository
        finally:
            self.visitors[app] -= 1
            if not self.visitors[app]:
                del self.visitors[app]
                if not repository.has_refs():
                    shutil.rmtree(repository.path, ignore_errors=True)
                    shutil.rmtree(self.home / "stage" / app, ignore_errors=True)

    def clean(self) -> None:
        """Remove what a git that was killed left in repositories: quarantines and lock files. Nobody pushes yet."""
        for path in [
            *self.repositories.glob("*.git/objects/tmp_objdir-*"),
            *self.repositories.glob("*.git/objects/incoming-*"),
        ]:
            shutil.rmtree(path, ignore_errors=True)
        for path in [*self.repositories.glob("*.git/refs/**/*.lock"), *self.repositories.glob("*.git/*.lock")]:
            path.unlink(missing_ok=True)
        for app in self.apps():
            if not self.repository(app).has_refs():
                shutil.rmtree(self.repository(app).path, ignore_errors=True)
                shutil.rmtree(self.home / "stage" / app, ignore_errors=True)

    def stage(self, place: Place) -> Stage:
        return Stage(self.home / "stage" / place.app / place.environment)

    def environment(self, place: Place) -> Environment:
        return self.config.environments[place.environment]

    def branch(self, place: Place) -> str | None:
        """The ref that is deployed there: a setting, or what the first push made it; None before that."""
        setting = self.environment(place).branch
        return f"refs/heads/{setting}" if setting else self.repository(place.app).head(place.environment)

    def nodes_of(self, place: Place) -> tuple[Node, ...]:
        return tuple(self.nodes[name] for name in self.environment(place).nodes)

    def key(self, place: Place) -> str:
        """The app's name on nodes."""
        return stages.app_key(place, self.config.default_environment)

    def domain(self, place: Place) -> str:
        return self.environment(place).domain or self.config.domain

    def domains(self) -> set[str]:
        """The domains below which apps get their names."""
        return {self.config.domain, *(one.domain for one in self.config.environments.values() if one.domain)}

    def places(self) -> list[Place]:
        """Every app in every environment that it has been deployed to."""
        return [
            Place(app, environment)
            for app in self.apps()
            for environment in self.config.environments
            if any(name.startswith("refs/heads/") for name in self.repository(app).refs(environment))
        ]

    def collect(self, repository: Repository) -> None:
        """Let git repack in the background if it is time (git-gc(1)); it is no part of any deploy."""
        argv = ("git", "--git-dir", str(repository.path), "gc", "--auto", "--quiet")
        command = Command(argv, GIT_ENVIRON, survives=True)
        packing = Deferred.fromCoroutine(self.runner.run(command, timeout=self.config.limits.step))
        packing.addErrback(lambda failure: log.warn("repacking: {text}", text=failure.getErrorMessage()))

    def kept(self, app: str) -> set[str]:
        """The commits of the releases that are kept on nodes, in all environments of an app."""
        repository, most = self.repository(app), self.config.keep.versions
        return {one.commit for name in self.config.environments for one in repository.releases(name, most)}

    def urls(self, place: Place) -> list[str]:
        """Where an app answers."""
        return [url for node in self.nodes_of(place)[:1] for url in node.urls(self.key(place))]
