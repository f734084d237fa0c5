"""The environment ``development``: an application where it is written, injected with the same things as everywhere else."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from buildless.command import MODULE, Job, argv, parse_command, start
from buildless.command import Command as AppCommand
from buildless.configuration import Configuration
from buildless.debs import debs
from buildless.description import Description
from buildless.development import development_environ, settings_file
from buildless.environ import with_libraries
from buildless.errors import BuildlessError, CommandError, DocumentError, LoadError
from buildless.node.facts import missing_debs, python_version
from buildless.node.layout import AppLayout, Layout
from buildless.package import DESCRIPTION, AppPackage
from buildless.secret import development_file
from buildless.values import python_satisfies

from ..errors import Refused
from ..names import app_name
from ..nodes.library import link_libraries
from ..runner import Command
from .init import called

ENVIRONMENT = "development"
HOST = "localhost"
NOTHING = "0" * 40  # the id of no commit, as git writes it: what runs is what the files are now
DEBIAN = "/usr/bin/python3"  # what runs applications on nodes, with Debian's packages


@dataclass(frozen=True)
class Development:
    """The application in `top`. `root` is to it what ``/`` is on a node; `environ` is that of the person who writes it."""

    top: Path
    name: str
    description: Description
    root: Path
    environ: Mapping[str, str]

    @classmethod
    def find(cls, directory: Path, environ: Mapping[str, str]) -> Development:
        """Raises Refused where there is no application, or the mistakes of its app.yaml."""
        top = directory.resolve()
        description = described(top)
        cache = Path(
            environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
        )
        name = app_name(description.name) if description.name else called(top)
        which = hashlib.sha256(os.fsencode(top)).hexdigest()[:8]
        return cls(top, name, description, cache / "gitdeploy" / f"{name}-{which}", environ)

    @property
    def layout(self) -> AppLayout:
        """Its directories outside of the tree."""
        return Layout(self.root).app(self.name)

    @property
    def library(self) -> Path:
        """Where its processes find what is ours."""
        return self.root / "lib"

    @property
    def secret(self) -> Path:
        return development_file(self.name, ENVIRONMENT, self.environ)

    @property
    def python(self) -> str:
        """Its own .venv's, or that of a virtualenv that is active (but ours); else Debian's, as on nodes."""
        active = self.environ.get("VIRTUAL_ENV")
        other = active if active and os.path.realpath(active) != os.path.realpath(sys.prefix) else None
        places = [Path(place) / "bin" / "python3" for place in (self.top / ".venv", other) if place]
        return next((str(path) for path in places if os.access(path, os.X_OK)), shutil.which(DEBIAN) or sys.executable)

    @property
    def path(self) -> str:
        return self.environ.get("PATH", os.defpath)

    @property
    def outside(self) -> dict[str, str]:
        """The variables that come from neither the tree nor us: PATH, and services by development.yaml. Raises Refused."""
        try:
            services = development_environ(described(self.top), self.name, self.settings, ENVIRONMENT)
        except BuildlessError as error:
            raise Refused(str(error)) from error
        own = {"APP_CONFIG": str(self.configuration)} if self.configuration.is_dir() else {}
        return {**services, **own, "PATH": self.path}

    @property
    def settings(self) -> Path:
        """development.yaml, which may not be there."""
        return settings_file(self.environ)

    @property
    def configuration(self) -> Path:
        """The person's own, where there is one."""
        return self.settings.parent / "config" / self.name

    def prepare(self) -> None:
        """Make the directories that its processes are told of."""
        for directory in (self.layout.logs, self.layout.pycache, self.tmp):
            directory.mkdir(parents=True, exist_ok=True)
        link_libraries(self.library)

    @property
    def tmp(self) -> Path:
        return self.layout.cache / "tmp"

    def warnings(self) -> list[str]:
        """What of app.yaml is nobody's to do here but the person's own."""
        found = list(self.description.warnings)
        wanted = self.description.python
        if wanted and not python_satisfies(wanted, version := tuple(python_version(self.python))):
            have = ".".join(str(part) for part in version)
            found.append(
                f"the application wants python {wanted}, and {self.python} is {have}; make a .venv with another"
            )
        debian = self.python == DEBIAN and shutil.which("dpkg-query") is not None
        missing = missing_debs(debs(self.description, fastcgi=False)) if debian else []
        if missing:
            found.append(f"Debian packages are missing; install them: sudo apt-get install {' '.join(missing)}")
        if self.description.pip:
            names = " ".join(f"-r {one}" if one.endswith(".txt") else one for one in self.description.pip)
            found.append(f"what pip: names is installed on nodes; here it is for: .venv/bin/pip install {names}")
        return found

    def injected(self) -> dict[str, str]:
        """The variables of a process that the person starts by hand."""
        package = AppPackage(self.top)
        given = package.environ(
            app=self.name,
            environment=ENVIRONMENT,
            release="v0",
            version=NOTHING,
            location=HOST,
            tmpdir=str(self.tmp),
            logs=str(self.layout.logs),
            pycache=str(self.layout.pycache),
            secret=str(self.secret),
            base={"TERM": self.environ.get("TERM", "dumb")},
            config=(self.description.config or Configuration()).place(None, str(self.top)),
        )
        return with_libraries({**given, **self.outside}, package, self.library)

    def command(self, words: Sequence[str]) -> Command:
        """What runs a command of the application, or a program that is installed. Raises Refused for one that names nothing."""
        try:
            return self._started(parse_command(words, self.top, self.path))
        except CommandError as error:
            raise Refused(str(error)) from error

    def module(self, name: str, arguments: Sequence[str] = ()) -> Command:
        """What runs a module as ``python -m`` does, in the application's process."""
        return self._started(AppCommand(MODULE, name, tuple(arguments)))

    def _started(self, command: AppCommand) -> Command:
        job = Job(self.top, (), command, {}, self.python)
        return Command(tuple(argv(job)), self.injected(), str(start(job, self.library)))


def described(top: Path) -> Description:
    """What the app.yaml in a directory says. Raises Refused, with all of its mistakes."""
    if not (top / DESCRIPTION).is_file():
        raise Refused(f"there is no {DESCRIPTION} in {top}; go to the directory that has it, or write that one first")
    try:
        return AppPackage(top).description
    except LoadError as error:
        raise Refused(str(error)) from error
    except DocumentError as error:
        first, *others = str(error).splitlines()
        raise Refused(first, *others) from error


def split(words: Sequence[str], here: Path) -> tuple[Path, list[str]]:
    """The directory that is meant and the other words: a first word that is a directory with an app.yaml is no command.

    Other directories are none either, but for what may be a URL path: that begins with ``/``.
    """
    if words and (here / words[0]).is_dir():
        if (here / words[0] / DESCRIPTION).is_file():
            return here / words[0], list(words[1:])
        if not words[0].startswith("/"):
            raise Refused(
                f"there is no {DESCRIPTION} in {words[0]}; write the directory that has it, or the command alone"
            )
    return here, list(words)
