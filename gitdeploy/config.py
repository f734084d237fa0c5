"""gitdeploy.yaml: the settings of a server, each with a default that suits; documented in gitdeploy.example.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from buildless import document, kinds
from buildless.description import location
from buildless.errors import DocumentError
from buildless.limits import WebLimits

from . import names
from .errors import BadName, ConfigError

EMBEDDED = "embedded"


@dataclass(frozen=True)
class Limits:
    """What a push and a deploy may take: bytes, a number of files, seconds."""

    pack: int = 1_000_000_000
    unpacked: int = 4_000_000_000
    files: int = 100_000
    boot: float = 60.0
    ping: float = 10.0
    step: float = 600.0
    wait: float = 1800.0


@dataclass(frozen=True)
class Keep:
    """What stays of earlier releases: `versions` of them on nodes, `running` of these with their processes, for `linger` seconds."""

    versions: int = 5
    running: int = 1
    linger: float = 3600.0


@dataclass(frozen=True)
class Environment:
    """One environment. `branch` None: the first push of main or master decides; `users` None: everybody who has a key."""

    name: str
    nodes: tuple[str, ...] = (EMBEDDED,)
    branch: str | None = None
    users: tuple[str, ...] | None = None
    domain: str | None = None
    web: WebLimits = field(default_factory=WebLimits)


@dataclass(frozen=True)
class Config:
    """All settings."""

    environments: Mapping[str, Environment]
    limits: Limits = field(default_factory=Limits)
    keep: Keep = field(default_factory=Keep)
    domain: str = "localhost"
    default_environment: str = "production"
    python: str | None = None


DEFAULT_ENVIRONMENTS = ("production", "staging")


def load(path: Path) -> Config:
    """Read gitdeploy.yaml; one that is not there stands for all defaults. Raises ConfigError with every mistake in it."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        text = b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return parse(text, str(path))


def parse(text: bytes, filename: str = "gitdeploy.yaml") -> Config:
    """Read settings. Raises ConfigError, whose details are the mistakes, each with file and line."""
    try:
        found = document.read(text, filename, KINDS, optional=True)
        environments = make_environments(found.values)
        default = found.values.get("default_environment", "production")
        if default not in environments:
            found.problem(
                "default_environment", f"there is no environment {default}; write one of {', '.join(environments)}"
            )
        values = found.checked()
    except DocumentError as error:
        first, *others = error.problems
        raise ConfigError(first, *others) from error
    limits, keep = Limits(**values.get("limits", {})), Keep(**values.get("keep", {}))
    return Config(environments, limits, keep, values.get("domain", "localhost"), default, values.get("python"))


def make_environments(values: Mapping[str, Any]) -> dict[str, Environment]:
    """The environments by name, the usual two where there are none; the limits of `web` hold where one has no others."""
    web = WebLimits(**values.get("web", {}))
    wanted = values.get("environments") or {name: {} for name in DEFAULT_ENVIRONMENTS}
    return {
        name: Environment(name, **{**settings, "web": replace(web, **settings.get("web", {}))})
        for name, settings in wanted.items()
    }


def known_node(name: str) -> str:
    if name != EMBEDDED:
        raise ValueError(f"there is no node {name!r}; nodes other than embedded are not supported yet")
    return name


def checked(check: Any) -> document.Check:
    """A check of names.py as documents want it: ValueError instead of BadName."""

    def run(text: str) -> str:
        try:
            return str(check(text))
        except BadName as error:
            raise ValueError(str(error)) from error

    return run


WEB = {
    "processes": kinds.integer(1, 1000),
    "threads": kinds.integer(1, 1000),
    "request": kinds.duration(),
    "stop": kinds.duration(),
    "memory": kinds.size(),
    "recycle": kinds.size(),
    "boot": kinds.duration(),
    "shed": kinds.duration(),
    "max_requests": kinds.integer(),
    "max_requests_jitter": kinds.integer(),
}
ENVIRONMENT = {
    "nodes": kinds.strings(known_node),
    "branch": kinds.string(checked(names.branch_name)),
    "users": kinds.strings(checked(names.user_name)),
    "domain": kinds.string(location),
    "web": document.section(WEB),
}
LIMITS = {
    **dict.fromkeys(("pack", "unpacked"), kinds.size()),
    "files": kinds.integer(1),
    **dict.fromkeys(("boot", "ping", "step", "wait"), kinds.duration()),
}
KEEP = {
    "versions": kinds.integer(1, 1000),
    "running": kinds.integer(0, 100),
    "linger": kinds.duration(zero=True),
}
KINDS = {
    "environments": document.named(checked(names.environment_name), document.section(ENVIRONMENT), lambda node: {}),
    "default_environment": kinds.string(checked(names.environment_name)),
    "domain": kinds.string(location),
    "limits": document.section(LIMITS),
    "keep": document.section(KEEP),
    "web": document.section(WEB),
    "python": kinds.string(),
}
