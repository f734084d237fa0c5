"""Where things are on a node (docs/design.rst, 'A node'); everything else asks here, and no other name gets into a path."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from buildless.node.checked import checked
from buildless.node.owners import Owners
from buildless.processes import WEB, process_name
from buildless.static import NAME

_APP = re.compile(r"[a-z][a-z0-9-]{0,40}(\.[a-z][a-z0-9-]{0,40})?")
_RELEASE = re.compile(r"v[1-9][0-9]{0,8}")
_BACKUP = re.compile(r"(sent|got)-[0-9a-f]{16}|[0-9]{8}T[0-9]{6}\.[0-9]{3}Z")
_SENT = re.compile(r"run-[0-9a-f]{16}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|spare")


@dataclass(frozen=True)
class Layout:
    """The directories of a node below `root`, which is ``/`` on a machine of its own; `owners` is whose they are."""

    root: Path
    owners: Owners = field(default_factory=Owners)

    @property
    def apps(self) -> Path:
        return self.root / "srv" / "apps"

    @property
    def caches(self) -> Path:
        return self.root / "var" / "cache" / "apps"

    @property
    def logs(self) -> Path:
        return self.root / "var" / "log" / "apps"

    @property
    def written(self) -> Path:
        """Where rsyslog writes what the processes of each app said, into APP.log; there is none on an embedded node."""
        return self.root / "var" / "log" / "gitdeploy"

    @property
    def states(self) -> Path:
        return self.root / "var" / "lib" / "apps"

    @property
    def backups(self) -> Path:
        return self.root / "var" / "backups" / "apps"

    @property
    def accounts(self) -> Path:
        """What is known of the services of apps (buildless/node/accounts.py)."""
        return self.root / "var" / "lib" / "gitdeploy" / "services"

    @property
    def ports(self) -> Path:
        """A file for each port that a server of an app's has; no app has a name such as this directory's."""
        return self.accounts / ".ports"

    @property
    def sockets(self) -> Path:
        return self.root / "run" / "apps"

    @property
    def units(self) -> Path:
        """Where systemd reads the units of this machine."""
        return self.root / "etc" / "systemd" / "system"

    @property
    def nginx(self) -> Path:
        return self.root / "etc" / "nginx"

    @property
    def sites(self) -> Path:
        """nginx's files of apps, one each."""
        return self.nginx / "gitdeploy"

    @property
    def postfix(self) -> Path:
        return self.root / "etc" / "postfix"

    @property
    def run(self) -> Path:
        """What is gone after a boot, and whose absence says so."""
        return self.root / "run" / "gitdeploy"

    @property
    def texts(self) -> Path:
        """Files that were made of templates (buildless/node/templates)."""
        return self.run / "texts"

    @property
    def in_service(self) -> Path:
        """While it is there, a balancer gives this node requests."""
        return self.run / "in-service"

    @property
    def turns(self) -> Path:
        """What verbs that change an app hold, a byte each, so that there is one at a time (buildless/node/turn.py)."""
        return self.run / "turns"

    @property
    def check_socket(self) -> Path:
        """Where nginx answers as a release that is not live yet; only root gets into its directory."""
        return self.run / "check" / "nginx.sock"

    @property
    def setup(self) -> Path:
        """The version of the set-up, written by it as its last step."""
        return self.root / "usr" / "lib" / "gitdeploy" / "version"

    def app(self, name: str) -> AppLayout:
        """The directories of the app `name`: ``shop``, or ``shop.staging`` in an environment that is not the default one."""
        return AppLayout(self, checked(_APP, "app", name))

    def names(self) -> list[str]:
        """The apps that there is a directory of, or nginx's file; what else lies there is no app."""
        tops = (self.apps, self.caches, self.logs, self.states)
        found = {path.name for top in tops for path in top.glob("*") if path.is_dir()}
        found |= {path.stem for path in self.sites.glob("*.map")}
        return sorted(name for name in found if _APP.fullmatch(name))


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
    def withdrawn(self) -> Path:
        """What `live` is called where the app has no business any more, and nothing of it is to run."""
        return self.home / "withdrawn"

    @property
    def secret(self) -> Path:
        """The app's secret (buildless/secret.py); it goes with the app, and with no release of it."""
        return self.home / "secret"

    @property
    def jobs(self) -> Path:
        """There while this node is the one that runs the app's jobs."""
        return self.home / "jobs"

    @property
    def held(self) -> Path:
        """There while nobody is to be answered; nginx finds it beside whichever release it means."""
        return self.releases / "held"

    @property
    def maintenance(self) -> Path:
        """There while the app is out of service on purpose; beside `held` for the same reason."""
        return self.releases / "maintenance"

    @property
    def wheels(self) -> Path:
        """Libraries that pip installed: one directory for each content of the requirements."""
        return self.home / "wheels"

    @property
    def logs(self) -> Path:
        return self.node.logs / self.name

    @property
    def cache(self) -> Path:
        """Compiled modules and temporary files, one directory per version or release; safe to delete."""
        return self.node.caches / self.name

    @property
    def state(self) -> Path:
        """What the app keeps; of ours there are the directories of its services files and public_files."""
        return self.node.states / self.name

    @property
    def shared(self) -> Path:
        """What it keeps with other nodes (buildless/node/mounts.py). It is root's: the app can put nothing else in these places."""
        return self.node.states / ".shared" / self.name

    @property
    def public(self) -> Path:
        """What it keeps for all to see (public_files)."""
        return self.state / "public_files"

    def give_state(self) -> None:
        """Let the app have `state`, and the web server get to `public` if that is there."""
        self.node.owners.give_state(self.name, self.state, public=self.public.is_dir())

    @property
    def accounts(self) -> Path:
        return self.node.accounts / self.name

    @property
    def backups(self) -> Path:
        return self.node.backups / self.name

    def make_backups(self) -> None:
        """Make the directory for backups, for nobody but us."""
        self.node.backups.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.backups.mkdir(exist_ok=True, mode=0o700)

    def backup(self, name: str) -> Path:
        """The file of a backup: ``20261124T200000.123Z`` is one that is kept."""
        return self.backups / (checked(_BACKUP, "backup", name, "; see: backups APP") + ".backup")

    @property
    def site(self) -> Path:
        """nginx's file of the app."""
        return self.node.sites / (self.name + ".map")

    @property
    def counts(self) -> Path:
        """How many workers of each type there are to be, where somebody said so (``ps:scale``)."""
        return self.home / "counts"

    def socket(self, release: str, kind: str = WEB) -> Path:
        """Where the processes of a type that were started for a release listen."""
        name = checked(_RELEASE, "release", release) + ("" if kind == WEB else f"-{process_name(kind)}")
        return self.node.sockets / self.name / f"{name}.sock"

    @property
    def mail_socket(self) -> Path:
        """Where messages to the app are handed over."""
        return self.node.sockets / self.name / "mail.sock"

    def version(self, commit: str) -> Path:
        """The exact tree of `commit`; once it stands under this name it has been verified."""
        return self.versions / checked(_COMMIT, "commit", commit)

    def incoming(self, commit: str) -> Path:
        """Where a version is put together before it is verified."""
        return self.versions / (".incoming-" + checked(_COMMIT, "commit", commit))

    def spare(self, commit: str) -> Path:
        """A copy of a version, all links, from which the next one is made: linking takes longer than what changes."""
        return self.versions / (".spare-" + checked(_COMMIT, "commit", commit))

    def index(self, commit: str) -> Path:
        """What verification found in a version (see `versions.Index`)."""
        return self.versions / (".index-" + checked(_COMMIT, "commit", commit))

    def static(self, commit: str) -> Path:
        """A link to the static files of a version, where the web server looks for them by its URL (buildless/static.py)."""
        return self.versions / f"{NAME}-{checked(_COMMIT, 'commit', commit)}"

    @property
    def pycache(self) -> Path:
        """PYTHONPYCACHEPREFIX of the app: one for all versions, so that the standard library is compiled once."""
        return self.cache / "pycache"

    def compiled(self, commit: str) -> Path:
        """Where Python keeps the compiled modules of a version: below the prefix, by the full path of the source."""
        return Path(str(self.pycache) + str(self.version(commit).resolve()))

    def told(self, release: str) -> dict[str, str]:
        """What the processes of a release are told of these directories."""
        paths = {name: getattr(self, name) for name in ("logs", "pycache", "secret", "state")}
        return {
            name: str(path)
            for name, path in {**paths, "tmp": self.tmp(release), "release": self.release(release)}.items()
        }

    def tmp(self, release: str) -> Path:
        return self.cache / ("tmp-" + checked(_RELEASE, "release", release))

    def sent(self, name: str) -> Path:
        """Where files are that somebody sent along for a one-off command (buildless/node/sent.py)."""
        return self.cache / checked(_SENT, "directory", name)

    def release(self, release: str) -> Path:
        return self.releases / checked(_RELEASE, "release", release)

    def live_release(self) -> str | None:
        """The release that is live, ``v7``, or None."""
        try:
            return Path(self.live.readlink()).name
        except FileNotFoundError:
            return None
