"""A release as its own processes read it: the directory with `tree` and `settings`, and how a process becomes one of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Tuple

from buildless.errors import BuildlessError
from buildless.limits import WebLimits
from buildless.package import AppPackage
from buildless.processes import WEB, Process
from buildless.sleep import Sleep


@dataclass(frozen=True)
class Release:
    """What is in a release's directory."""

    directory: Path
    package: AppPackage
    environ: Dict[str, str]
    limits: WebLimits
    around: Tuple[str, ...] = ()
    """Functions from one WSGI application to another, which the application is given to."""

    @property
    def name(self) -> str:
        """``v7``."""
        return self.environ.get("APP_RELEASE", self.directory.name)

    def sleep(self, name: str = WEB) -> Sleep:
        """When the process type `name`, which answers requests, may end by itself."""
        place = WEB if name == WEB else self.process(name).place
        return Sleep(self.directory, self.limits.linger, name=f"{place}.sock")

    def process(self, name: str) -> Process:
        """A process type that is a command. Raises BuildlessError."""
        description = self.package.description
        if name == WEB and description.command:
            return Process(description.command, "/")
        if name not in description.processes:
            raise BuildlessError(f"there is no process type {name} in app.yaml; deploy the release again")
        return description.processes[name]


def read_release(directory: Path) -> Release:
    """Read a release, following its links once, here. Raises BuildlessError for one that has nothing to run."""
    try:
        settings = json.loads((directory / "settings").read_bytes())
        environ, limits = dict(settings["environ"]), WebLimits(**settings["web"])
        package = AppPackage(directory / "tree", [str(path) for path in settings.get("libraries", ())])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildlessError(
            f"{directory / 'settings'} cannot be used ({error!r}): deploy the release again"
        ) from error
    return Release(directory, package, environ, limits, tuple(settings.get("around", ())))


def enter(release: Release) -> None:
    """Make this process the application's: its environment, its directory, and nothing of ours in front of its own modules."""
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]  # python -m puts the current directory there
    os.chdir(release.package.directory)
    os.environ.clear()
    os.environ.update(release.environ)
    time.tzset()
    sys.pycache_prefix = release.environ.get("PYTHONPYCACHEPREFIX")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
