"""What a node must have and be told for a deploy: pure decisions over what it said of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from buildless.configuration import Configuration
from buildless.description import RUNS, Description
from buildless.environ import environ
from buildless.limits import WebLimits
from buildless.node.facts import ROOM
from buildless.processes import WEB
from buildless.service import Account
from buildless.service import environ as services_environ
from buildless.values import ANY, python_satisfies, split_location

from ..errors import Refused
from ..git.configvars import ConfigVars
from ..git.repository import CommitInfo
from ..names import Place
from ..text import size

TEST = "test"
"""The environment that an application's own tests are told of."""

SPARE_BYTES = 50_000_000
"""What must be left on a node's disk after a version, for logs and temporary files."""


@dataclass(frozen=True)
class Plan:
    """A deploy once it is known what is deployed: where, what, as which release, and how it may run."""

    place: Place
    key: str  # the app's name on nodes: shop, shop.staging
    commit: CommitInfo
    description: Description
    release: str
    hosts: tuple[str, ...]  # locations, the first is the one that is shown
    web: WebLimits
    user: str
    source: str  # git push, prepare, rollback, redeploy, config, catch up
    config: ConfigVars = field(default_factory=ConfigVars)
    services: tuple[Account, ...] = ()
    static_url: str = "/"  # what its static files are below, for processes of this version
    mail: tuple[str, ...] = ()  # the addresses that it takes
    new: tuple[str, ...] = ()  # services that are empty: no release with them has been live
    waiting: tuple[str, ...] = ()  # services that are changed when the release is live

    @property
    def number(self) -> int:
        return int(self.release[1:])

    @property
    def only_prepares(self) -> bool:
        """Whether the release is to be looked at, and not to be live."""
        return self.source == "prepare"

    @property
    def looked_at(self) -> str:
        """Where the release answers while it is kept, live or not."""
        return f"{self.release}.{named(self.hosts)[-1]}"

    @property
    def answers(self) -> bool:
        """Whether there is a web process."""
        return any(name in self.description.platform for name in RUNS)

    @property
    def runs(self) -> bool:
        """Whether there is any process to start."""
        return self.answers or bool(self.description.processes)

    @property
    def starts(self) -> tuple[str, ...]:
        """The process types that answer requests, and so are started before the release is live."""
        paths = [name for name, one in self.description.processes.items() if one.path is not None]
        return (*((WEB,) if self.answers else ()), *paths)

    @property
    def works(self) -> bool:
        """Whether there are workers."""
        return any(one.path is None for one in self.description.processes.values())


@dataclass(frozen=True)
class Delivery:
    """What to send to one node: into a version that keeps what it shares with `base`, but for the paths in `without`."""

    base: str | None
    paths: tuple[str, ...]
    without: tuple[str, ...]


def app_key(place: Place, default_environment: str) -> str:
    """The name of an app on nodes: alone in the default environment, else with the environment (``shop.staging``)."""
    return place.app if place.environment == default_environment else f"{place.app}.{place.environment}"


def hosts(
    place: Place, description: Description, domain: str, default_environment: str, default_app: str | None = None
) -> tuple[str, ...]:
    """The locations an app answers at; those of app.yaml are those of the default environment.

    The last but for `ANY`, which an environment's default app has, is the name that the server gives it.
    """
    others = (ANY,) if place.app == default_app else ()
    if place.environment == default_environment:
        return (*description.locations, f"{place.app}.{domain}", *others)
    return (f"{place.app}.{place.environment}.{domain}", *others)


def named(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The locations that have a name."""
    return tuple(host for host in hosts if host != ANY)


def reserved(hosts: tuple[str, ...], domains: Collection[str]) -> str | None:
    """The first of an app's locations that is, or could be, the name the server gives another app; the last is its own."""
    *locations, own = named(hosts)
    for location in locations:
        host = split_location(location)[0]
        if host != own and any(host == domain or host.endswith(f".{domain}") for domain in domains):
            return location
    return None


def base_of(versions: Collection[str], releases: Iterable[Mapping[str, Any]], live: str | None) -> str | None:
    """The version on a node that a new one is most like: the live one, else the latest that is there."""
    known = [release for release in releases if release["commit"] in versions]
    known.sort(key=lambda release: release["release"] == live)
    return str(known[-1]["commit"]) if known else None


def next_release(recorded: Iterable[str], facts: Iterable[Mapping[str, Any]]) -> str:
    """One more than any release that is recorded (``refs/releases/v7``), or is on a node although its record was lost."""
    names = [ref.removeprefix("refs/releases/") for ref in recorded]
    names += [str(release["release"]) for one in facts for release in one["releases"]]
    return f"v{1 + max((int(name[1:]) for name in names), default=0)}"


def problems(
    plan: Plan, facts: Mapping[str, Any], new_bytes: int, new_files: int, *, installs: bool = False
) -> list[str]:
    """Why a node cannot run this, in words that say what to do; empty when it can.

    `facts` is what the node's survey answered; `new_bytes` and `new_files` are what the version adds to its disk. With
    `installs` Debian packages that are missing are no problem, as the node can install them.
    """
    found = []
    wanted, version = plan.description.python, facts["python"]
    if wanted and version and not python_satisfies(wanted, tuple(version)):
        have = ".".join(str(part) for part in version)
        found.append(
            f"the application wants python {wanted}, the node has {have}; change python in app.yaml or the node"
        )
    missing_os = [name for name in plan.description.os if name not in facts["os"]]
    if missing_os:
        found.append(f"the application wants os {', '.join(missing_os)}, the node is {', '.join(facts['os'])}")
    if facts["missing_debs"] and not installs:
        found.append(missing_debs(facts["missing_debs"]))
    free = facts["free"]
    if new_bytes + SPARE_BYTES > free["bytes"]:
        needs = f"the version needs {size(new_bytes)} and " if new_bytes else ""  # not known yet, or nothing
        have = f"the disk has {size(free['bytes'])} free (it must keep {size(SPARE_BYTES)})"
        found.append(f"{needs}{have}; {ROOM}")
    if free["inodes"] is not None and new_files > free["inodes"]:
        found.append(f"the version has {new_files:,} files and the disk has room for {free['inodes']:,}; {ROOM}")
    return found


def missing_debs(names: Sequence[str]) -> str:
    """What to do about Debian packages that are missing on the embedded node, which is the server's own machine."""
    python = any(name.startswith("python3-") for name in names)
    return (
        f"Debian packages are missing on the server's own machine, where no push installs any: apt-get install {' '.join(names)}"
        + ("; or put pure Python into the tree: gitdeploy vendor PACKAGE" if python else "")
        + "; or deploy to a node that is a machine, where the push installs them"
    )


def unhealthy(status: int, path: str, asked: bool) -> str | None:
    """What is wrong with the answer to a check; `asked` says that app.yaml names the path: then it must answer below 400."""
    limit = 400 if asked else 500
    if status < limit:
        return None
    advice = "look at what it wrote above" if status >= 500 else "change ping in app.yaml, or what answers there"
    return f"{path} answered {status}; it must be below {limit}: {advice}"


def settings(
    plan: Plan, layout: Mapping[str, str], path: str, libraries: Sequence[str] = (), linger: float = 0.0
) -> dict[str, Any]:
    """What the release's processes are given (see buildless.web).

    `layout` has the node's logs, pycache, tmp, state and release directories and the file of the secret, `libraries` are further
    directories for sys.path, and `linger` is after how many seconds without a request a release that is not live sleeps (0: never).
    """
    tests = {"test_environ": injected(for_tests(plan), layout, path)} if plan.description.unit_test else {}
    return {
        "app": plan.place.app,
        "environment": plan.place.environment,
        "release": plan.release,
        "version": plan.commit.oid,
        "web": asdict(replace(plan.web, linger=linger)),
        "libraries": list(libraries),
        "environ": injected(plan, layout, path),
        **tests,
    }


def injected(plan: Plan, layout: Mapping[str, str], path: str) -> dict[str, str]:
    """The environment of a release's processes."""
    return environ(
        plan.description,
        app=plan.place.app,
        environment=plan.place.environment,
        release=plan.release,
        version=plan.commit.oid,
        location=plan.hosts[0],
        tmpdir=layout["tmp"],
        logs=layout["logs"],
        pycache=layout["pycache"],
        secret=layout["secret"],
        base={**services_environ(plan.services, layout["state"]), **plan.config.variables, "PATH": path},
        config=configuration(plan, layout["release"]),
        static_url=plan.static_url,
    )


def for_tests(plan: Plan) -> Plan:
    """The same for the application's own tests, which are told of nothing that belongs to the environment: they change data."""
    return replace(plan, place=Place(plan.place.app, TEST), config=ConfigVars(), services=())


def configuration(plan: Plan, release: str) -> str | None:
    """Where the application's configuration is, below the directory of its release."""
    said = plan.description.config or Configuration()
    return said.place(f"{release}/config" if plan.config.files else None, f"{release}/tree")


def lacks_configuration(plan: Plan) -> str | None:
    """Why a release cannot be without a configuration; None if it can, or has one."""
    said = plan.description.config
    if said is None or not said.required or said.default or plan.config.files:
        return None
    begin = (
        "gitdeploy create-config conf, change what it has, then" if said.template else "make a directory of files, then"
    )
    return f"it needs a configuration in {plan.place.environment}; {begin}: tar -C conf -c . | ssh ... config:put {plan.place.app}"


def refuse_without_configuration(plan: Plan) -> None:
    """Raises Refused if it `lacks_configuration`."""
    if problem := lacks_configuration(plan):
        raise Refused(problem)


def fingerprint(plan: Plan) -> str:
    """The same for two releases whose processes would be the same but for the release's number: one may serve as the other."""
    services = [asdict(account) for account in plan.services]
    files = {name: hashlib.sha256(content).hexdigest() for name, content in plan.config.files.items()}
    parts = [plan.commit.oid, plan.key, list(plan.hosts), asdict(plan.web), plan.config.variables, files, services]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def record(plan: Plan, now: float, serving: str) -> dict[str, Any]:
    """release.json: what the node keeps of a release, whose processes were started for `serving`."""
    types = plan.description.processes.items()
    return {
        "commit": plan.commit.oid,
        "tree": plan.commit.tree,
        "subject": plan.commit.subject,
        "user": plan.user,
        "source": plan.source,
        "time": round(now, 3),
        "app": plan.place.app,
        "environment": plan.place.environment,
        "hosts": list(plan.hosts),
        "static": plan.description.static or "static",
        "runs": plan.answers,
        "serving": serving if plan.runs else None,
        "php": "php" in plan.description.platform,
        "gunicorn": any(name in plan.description.platform for name in ("wsgi", "asgi")),
        "processes": {name: {"path": one.path, "count": one.count} for name, one in types},
        "cron": {name: {**asdict(one.schedule), "timeout": one.timeout} for name, one in plan.description.cron.items()},
        "mail": list(plan.mail),
        "fingerprint": fingerprint(plan),
        "config": plan.config.id,
        "web": asdict(plan.web),
    }
