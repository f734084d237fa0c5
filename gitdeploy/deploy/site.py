"""What deploys share: the parts of a running server that a deploy works with, and where its files are."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from buildless.secret import make_secret

from ..config import Config, Environment
from ..errors import NotFound
from ..git.configvars import ConfigStore
from ..git.repository import Repository
from ..git.stage import GIT_ENVIRON, Stage
from ..names import EMBEDDED, Place, nearest, quoted
from ..nodes.fleet import Fleet, gone
from ..nodes.node import Node, Session
from ..runner import Command, Runner
from . import stages
from .journal import Journal
from .queue import Queue

log = Logger()

if TYPE_CHECKING:
    from .attempt import Attempt


@dataclass(frozen=True)
class Held:
    """For which release, of which commit, nobody is let in, and the backup with the data as they were, once there is one."""

    release: str
    commit: str = ""
    backup: str | None = None

    def stuck(self, name: str) -> str:
        """What to do where no deploy is under way any more that would end it; `name` is what commands call the app."""
        restore = f"restore them: restore --kept {self.backup} --confirm {name} {name}, or " if self.backup else ""
        return f"an update was cut short, and the data as they were are not back yet; {restore}push again later"


@dataclass
class Site:
    """A server's parts. `config` is replaced when it is read again; a deploy under way keeps the one it began with.

    `node` finds a node by its name, and raises NotFound; `rejoin` brings a node up to date that could not be switched.
    """

    reactor: Any
    runner: Runner
    home: Path
    config: Config
    node: Callable[[str], Node]
    journal: Journal
    queue: Queue
    fleet: Fleet
    rejoin: Callable[[Node], None] = lambda node: None
    active: set[Attempt] = field(default_factory=set)
    visitors: Counter[str] = field(default_factory=Counter)
    behind: dict[str, Deferred[None]] = field(default_factory=dict)  # nodes that are tried again, by when this fires
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
                    self.remove(app)

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
                self.remove(app)

    def remove(self, app: str) -> None:
        """Delete what the server has of an app."""
        kept = [self.home / top / app for top in ("stage", "secrets", "passwords", "maintenance")]
        for path in (self.repository(app).path, *kept):
            shutil.rmtree(path, ignore_errors=True)

    def stage(self, place: Place) -> Stage:
        return Stage(self.home / "stage" / place.app / place.environment)

    def environment(self, place: Place) -> Environment:
        return self.config.environments[place.environment]

    def pushed(self, place: Place) -> str | None:
        """The ref that a push deploys there: a setting, or what the first push made it; None before that."""
        setting = self.environment(place).branch
        return f"refs/heads/{setting}" if setting else self.repository(place.app).head(place.environment)

    def branch(self, place: Place) -> str | None:
        """The ref that names what is live: `pushed`, but the one before while a setting has no push yet; None if nothing is."""
        repository, pushed = self.repository(place.app), self.pushed(place)
        if pushed is not None and repository.ref(place.environment, pushed) is not None:
            return pushed
        return repository.head(place.environment)

    def nodes_of(self, place: Place) -> tuple[Node, ...]:
        """The nodes of its environment. Raises NotFound for one that is not there."""
        names = self.environment(place).nodes
        if missing := [name for name in names if name not in (EMBEDDED, *self.fleet.names())]:
            raise NotFound(gone(place.environment, missing[0]))
        return tuple(self.node(name) for name in names)

    def secret(self, place: Place) -> str:
        """The secret of an app in an environment: all nodes get the same. It is made for the first push, and goes with the app."""
        return make_secret(self.home / "secrets" / place.app / place.environment)

    def services_secret(self, place: Place) -> str:
        """What the passwords of its services come from; kept as `secret` is, and never given to anybody."""
        return make_secret(self.home / "passwords" / place.app / place.environment)

    def config_vars(self, place: Place) -> ConfigStore:
        """The config vars of an app. They may be there before its first push."""
        return ConfigStore(self.home / "config" / f"{place.app}.git")

    def counts(self, place: Place) -> Mapping[str, int]:
        """How many workers of each type there are to be, where somebody said so (``ps:scale``)."""
        return self.config_vars(place).read(place.environment).scale

    def deployed(self, place: Place) -> tuple[str, str]:
        """The deployed branch of a place and the commit it is at. Raises NotFound before the first push."""
        repository = self.existing(place.app)
        branch = self.branch(place)
        commit = repository.ref(place.environment, branch) if branch else None
        if branch is None or commit is None:
            past = self.journal.list(place.app, place.environment)
            kept = any(one.kept for one in past)
            advice = f", and `backups {place}` has its data, for: restore --kept" if kept else " first"
            if any(one.result == "destroyed" for one in past):
                raise NotFound(f"{place.app} was destroyed in {place.environment}; push it there{advice}")
            raise NotFound(f"{place.app} has never been deployed to {place.environment}; push it there first")
        return branch, commit

    def earlier(self, place: Place, release: int | None) -> str:
        """The commit to go back to: that of `release`, or of the latest release that had another one than what is live."""
        _, current = self.deployed(place)
        releases = self.repository(place.app).releases(place.environment)
        if release is None:
            others = [one.commit for one in releases if one.commit != current]
            if not others:
                raise NotFound(f"{place.app} has no earlier release in {place.environment}")
            return others[-1]
        if found := [one.commit for one in releases if one.number == release]:
            return found[0]
        raise NotFound(f"{place.app} has no release v{release} in {place.environment}; see: releases {place.app}")

    def is_deployed(self, place: Place) -> bool:
        """Whether a branch of the app is deployed there."""
        return self.repository(place.app).exists and self.branch(place) is not None

    def held(self, place: Place) -> Held | None:
        """What there is to go back to if the deploy for which nobody is let in ends here; None if everybody is."""
        try:
            return Held(**json.loads(self.holding(place).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def hold(self, place: Place, held: Held | None) -> None:
        """Keep that, for whoever starts the server again."""
        file = self.holding(place)
        if held is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = file.with_name(f".{file.name}.new")
        new.write_text(json.dumps(asdict(held)), encoding="utf-8")
        new.replace(file)

    def holding(self, place: Place) -> Path:
        return self.home / "held" / place.app / place.environment

    def in_maintenance(self, place: Place) -> bool:
        """Whether somebody has taken an app out of service."""
        return self.maintenance(place).exists()

    def maintain(self, place: Place, on: bool) -> None:
        """Keep that, for nodes that do not answer now, and for those to come."""
        file = self.maintenance(place)
        if on:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch()
        else:
            file.unlink(missing_ok=True)

    def maintenance(self, place: Place) -> Path:
        return self.home / "maintenance" / place.app / place.environment

    def runs_jobs(self, place: Place, node: Node) -> bool:
        """Whether a node is the one that runs an app's jobs: the first of the environment."""
        return self.environment(place).nodes[0] == node.name

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

    @asynccontextmanager
    async def talking(self, node: Node) -> AsyncIterator[Session]:
        """A session with a node, outside of deploys."""
        session = node.session()
        try:
            yield session
        finally:
            await session.finish()

    async def ask(self, node: Node, verb: str, **request: Any) -> dict[str, Any]:
        """One question to a node, outside of deploys. Raises Refused."""
        async with self.talking(node) as session:
            return await session.call(verb, self.config.limits.step, **request)
