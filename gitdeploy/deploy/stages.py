"""What a node must have and be told for a deploy: pure decisions over what it said of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from buildless.description import Description, python_satisfies
from buildless.environ import environ
from buildless.limits import WebLimits

from ..git.repository import CommitInfo
from ..names import Place
from .report import size

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
    hosts: tuple[str, ...]  # host names, the first is the one that is shown
    web: WebLimits
    user: str
    source: str  # git push, rollback, redeploy

    @property
    def number(self) -> int:
        return int(self.release[1:])

    @property
    def runs(self) -> bool:
        """Whether there is a process to start."""
        return "wsgi" in self.description.platform


@dataclass(frozen=True)
class Delivery:
    """What to send to one node: into a version that keeps what it shares with `base`, but for the paths in `without`."""

    base: str | None
    paths: tuple[str, ...]
    without: tuple[str, ...]


def app_key(place: Place, default_environment: str) -> str:
    """The name of an app on nodes: alone in the default environment, else with the environment (``shop.staging``)."""
    return place.app if place.environment == default_environment else f"{place.app}.{place.environment}"


def hosts(place: Place, description: Description, domain: str, default_environment: str) -> tuple[str, ...]:
    """The host names an app answers to; the locations of app.yaml are those of the default environment."""
    if place.environment == default_environment:
        return (*description.locations, f"{place.app}.{domain}")
    return (f"{place.app}.{place.environment}.{domain}",)


def reserved(hosts: tuple[str, ...], domains: Collection[str]) -> str | None:
    """The first of an app's locations that is, or could be, the name the server gives another app; the last is its own."""
    *locations, own = hosts
    for host in locations:
        if host != own and any(host == domain or host.endswith(f".{domain}") for domain in domains):
            return host
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


def problems(plan: Plan, facts: Mapping[str, Any], new_bytes: int, new_files: int) -> list[str]:
    """Why a node cannot run this, in words that say what to do; empty when it can.

    `facts` is what the node's survey answered; `new_bytes` and `new_files` are what the version adds to its disk.
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
    if facts["missing_debs"]:
        names = " ".join(facts["missing_debs"])
        found.append(f"Debian packages are missing; on the node, run: apt-get install {names}")
    free = facts["free"]
    if new_bytes + SPARE_BYTES > free["bytes"]:
        found.append(
            f"the version needs {size(new_bytes)} and the disk has {size(free['bytes'])} free (it must keep {size(SPARE_BYTES)})"
        )
    if free["inodes"] is not None and new_files > free["inodes"]:
        found.append(f"the version has {new_files:,} files and the disk has room for {free['inodes']:,}")
    return found


def unhealthy(status: int, path: str, asked: bool) -> str | None:
    """What is wrong with the answer to a check; `asked` says that app.yaml names the path: then it must answer below 400."""
    limit = 400 if asked else 500
    if status < limit:
        return None
    advice = "look at what it wrote above" if status >= 500 else "change ping in app.yaml, or what answers there"
    return f"{path} answered {status}; it must be below {limit}: {advice}"


def settings(plan: Plan, layout: Mapping[str, str], path: str) -> dict[str, Any]:
    """What the release's processes are given (see buildless.web). `layout` has the node's logs, pycache and tmp directories."""
    return {
        "app": plan.place.app,
        "environment": plan.place.environment,
        "release": plan.release,
        "version": plan.commit.oid,
        "web": asdict(plan.web),
        "environ": environ(
            plan.description,
            app=plan.place.app,
            environment=plan.place.environment,
            release=plan.release,
            version=plan.commit.oid,
            location=plan.hosts[0],
            tmpdir=layout["tmp"],
            logs=layout["logs"],
            pycache=layout["pycache"],
            base={"PATH": path},
        ),
    }


def fingerprint(plan: Plan) -> str:
    """The same for two releases whose processes would be the same but for the release's number: one may serve as the other."""
    parts = [plan.commit.oid, plan.key, list(plan.hosts), asdict(plan.web)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def record(plan: Plan, now: float) -> dict[str, Any]:
    """release.json: what the node keeps of a release."""
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
        "runs": plan.runs,
        "fingerprint": fingerprint(plan),
        "web": asdict(plan.web),
    }
