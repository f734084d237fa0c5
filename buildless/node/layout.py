"""Where things are on a node (docs/design.rst, 'A node'); everything else asks here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The directories of a node below `root`, which is ``/`` on a machine of its own."""

    root: Path

    @property
    def apps(self) -> Path:
        return self.root / "srv" / "apps"

    def app(self, name: str) -> AppLayout:
        """The directories of the app `name`: ``shop``, or ``shop.staging`` in an environment that is not the default one."""
        return AppLayout(self, name)


@dataclass(frozen=True)
class AppLayout:
    """The directories of one app in one environment."""

    node: Layout
    name: str

    @property
    def home(self) -> Path:
        return self.node.apps / self.name

    @property
    def versions(self) -> Path:
        return self.home / "versions"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def live(self) -> Path:
        """The symlink that a switch renames: ``releases/vN``."""
        return self.home / "live"

    @property
    def logs(self) -> Path:
        return self.node.root / "var" / "log" / "apps" / self.name

    @property
    def cache(self) -> Path:
        """Compiled modules and temporary files, one directory per version or release; safe to delete."""
        return self.node.root / "var" / "cache" / "apps" / self.name

    def version(self, commit: str) -> Path:
        """The exact tree of `commit`; once it stands under this name it has been verified."""
        return self.versions / commit

    def incoming(self, commit: str) -> Path:
        """Where a version is put together before it is verified."""
        return self.versions / (".incoming-" + commit)

    def spare(self, commit: str) -> Path:
        """A copy of a version, all links, from which the next one is made: linking takes longer than what changes."""
        return self.versions / (".spare-" + commit)

    def index(self, commit: str) -> Path:
        """What verification found in a version (see `versions.Index`)."""
        return self.versions / (".index-" + commit)

    @property
    def pycache(self) -> Path:
        """PYTHONPYCACHEPREFIX of the app: one for all versions, so that the standard library is compiled once."""
        return self.cache / "pycache"

    def compiled(self, commit: str) -> Path:
        """Where Python keeps the compiled modules of a version: below the prefix, by the full path of the source."""
        return Path(str(self.pycache) + str(self.version(commit).resolve()))

    def tmp(self, release: str) -> Path:
        return self.cache / ("tmp-" + release)

    def release(self, release: str) -> Path:
        return self.releases / release

    def live_release(self) -> str | None:
        """The release that is live, ``v7``, or None."""
        try:
            return Path(self.live.readlink()).name
        except FileNotFoundError:
            return None
