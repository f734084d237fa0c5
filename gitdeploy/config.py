"""gitdeploy.yaml, read and checked: what may be set about a server. gitdeploy.example.yaml has every setting."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from buildless.document import Section, named, nearest, read, section, sections
from buildless.errors import DocumentError
from buildless.kinds import boolean, duration, integer, size, string, string_map, strings
from buildless.limits import WebLimits
from buildless.shape import Kind
from buildless.values import hostname, quoted

from . import names
from .errors import BadName, ConfigError
from .names import EMBEDDED

FILENAME = "gitdeploy.yaml"
LONGEST_ENVIRONMENT = 31
"""Characters; longer ones make paths of sockets that are too long."""

LEAST_MEMORY = 16_000_000
"""Bytes. A Python that may have less does not start: somebody left out the MB."""


@dataclass(frozen=True)
class Environment:
    """One place that apps are pushed to. `branch` None: the first push of main or master decides; `users` None: everybody.

    A push is refused when more than `missing` of its nodes are down. `balancer` is the node that shares requests out to them.
    `services` is the node that has the databases and so on of its apps; None: its only one. `default_app` is the app that answers
    for the host names that nobody has. With `unit_test` an app's own tests are run before what is new becomes live.
    """

    name: str
    nodes: tuple[str, ...] = (EMBEDDED,)
    branch: str | None = None
    users: tuple[str, ...] | None = None
    domain: str | None = None
    web: WebLimits = field(default_factory=WebLimits)
    missing: int = 0
    balancer: str | None = None
    services: str | None = None
    default_app: str | None = None
    unit_test: bool = False

    def meets(self, other: Environment) -> bool:
        """Whether there is a machine at which both answer, a node or a balancer: there a name can be only one's."""
        return bool({*self.nodes, self.balancer} & {*other.nodes, other.balancer} - {None})

    @property
    def machines(self) -> tuple[str, ...]:
        """All that it needs, by name, each once: its nodes, its balancer, and the node that has its services."""
        return tuple(dict.fromkeys(name for name in (*self.nodes, self.balancer, self.services) if name is not None))

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """The machines that it names, each with the key that does: ``("balancer", "lb1")``."""
        others = (("balancer", self.balancer), ("services", self.services))
        used = [*(("nodes", name) for name in self.nodes), *((key, name) for key, name in others if name is not None)]
        return tuple((key, name) for key, name in used if name != EMBEDDED or key == "balancer")


@dataclass(frozen=True)
class Limits:
    """What a push may take: sizes in bytes, times in seconds."""

    pack: int = 1_000_000_000
    """The largest pack that is received."""

    unpacked: int = 4_000_000_000
    """The largest tree, written out."""

    files: int = 100_000
    boot: float = 60.0
    """The start of an application."""

    ping: float = 10.0
    """The answer that shows that it works."""

    update: float = 3600.0
    """A command of the application's own during a deploy, such as a migration."""

    step: float = 600.0
    """Any other step of a deploy."""

    wait: float = 1800.0
    """The wait for another deploy of the same app and environment."""


@dataclass(frozen=True)
class Keep:
    """What is left of earlier releases: so many `versions` on disk, `running` processes for `linger` seconds."""

    versions: int = 5
    running: int = 1
    linger: float = 3600.0


def _default_environments() -> Mapping[str, Environment]:
    return {name: Environment(name) for name in ("production", "staging")}


@dataclass(frozen=True)
class Config:
    """A server's settings. An app ``shop`` answers as ``shop.DOMAIN`` in the default environment, else ``shop.ENVIRONMENT.DOMAIN``.

    `python` is the interpreter of applications on the embedded node; None leaves the choice to the server.
    `admins` may change other people's keys over ssh; None: everybody who has a key. `providers` are where create-node makes
    machines: the settings of each, as libcloud calls them (see gitdeploy.nodes.cloud). `mail` has the apps that may have mail for a
    domain, by the domain; that for others is for the app that answers there.
    """

    environments: Mapping[str, Environment] = field(default_factory=_default_environments)
    limits: Limits = Limits()
    keep: Keep = Keep()
    domain: str = "localhost"
    default_environment: str = "production"
    python: str | None = None
    admins: tuple[str, ...] | None = None
    providers: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {"local": {"driver": "nspawn"}})
    mail: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def load(path: str | os.PathLike[str]) -> Config:
    """The settings in the file `path`; all defaults if there is none. Raises ConfigError."""
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        return Config()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; correct that, or remove it for defaults"
        ) from error
    return parse(text, os.fspath(path))


def parse(text: bytes, filename: str = FILENAME) -> Config:
    """The settings that `text` has; `filename` is for messages. Raises ConfigError, `details` with every mistake."""
    try:
        found = read(text, filename, KINDS, optional=True)
        _check_default(found)
        return _config(found.checked())
    except DocumentError as error:
        count = len(error.problems)
        mistakes = "a mistake" if count == 1 else f"{count} mistakes"
        raise ConfigError(f"{filename} has {mistakes}; correct what is listed", *error.problems) from None


def _config(values: Mapping[str, Any]) -> Config:
    settings = dict(values)
    web = WebLimits(**settings.pop("web", {}))
    environments = settings.pop("environments", {name: {} for name in _default_environments()})
    settings["environments"] = {
        name: Environment(name, **{**said, "web": replace(web, **said.get("web", {}))})
        for name, said in environments.items()
    }
    for name, block in (("limits", Limits), ("keep", Keep)):
        if name in settings:
            settings[name] = block(**settings[name])
    settings["mail"] = {hostname(domain): apps for domain, apps in settings.get("mail", {}).items()}
    return Config(**settings)


def _check_default(found: Section) -> None:
    """The default environment must be one; not looked at where either is wrong itself."""
    wrong = {"environments", "default_environment"} & found.lines.keys() - found.values.keys()
    known = found.values.get("environments", _default_environments())
    default = found.values.get("default_environment", Config.default_environment)
    if wrong or default in known:
        return
    if not known:
        found.problem("environments", "there is none; write at least one, such as `production:`")
    elif "default_environment" in found.lines:
        guess = nearest(default, list(known))
        advice = f"did you mean {guess}?" if guess else f"write one of {', '.join(known)}"
        found.problem("default_environment", f"there is no environment {quoted(default)}; {advice}")
    else:
        advice = f"name one so, or write default_environment: {next(iter(known))}"
        found.problem("environments", f"none of them is {default}, the default environment; {advice}")


def _name(check: Callable[[str], str]) -> Callable[[str], str]:
    """A check of buildless.document from one of gitdeploy.names."""

    def check_name(text: str) -> str:
        try:
            return check(text)
        except BadName as error:
            raise ValueError(str(error)) from None

    return check_name


def _environment_name(text: str) -> str:
    name = _name(names.environment_name)(text)
    if len(name) > LONGEST_ENVIRONMENT:
        raise ValueError(f"{quoted(name)} is too long; write at most {LONGEST_ENVIRONMENT} characters, such as staging")
    return name


def _provider_setting(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", text):
        raise ValueError(f"{quoted(text)} is no setting; write one as libcloud calls it, such as key, secret, region")
    return text


def _interpreter(text: str) -> str:
    if not (os.path.isabs(text) and os.path.isfile(text) and os.access(text, os.X_OK)):
        raise ValueError(
            f"{quoted(text)} is no program; write the whole path of an interpreter, such as /usr/bin/python3"
        )
    return text


WEB: Mapping[str, Kind] = {
    "processes": integer(1, 256),
    "threads": integer(1, 1000),
    "request": duration(),
    "stop": duration(),
    "memory": size(LEAST_MEMORY),
    "recycle": size(LEAST_MEMORY),
    "boot": duration(),
    "shed": duration(),
    "max_requests": integer(),
    "max_requests_jitter": integer(),
}

ENVIRONMENT: Mapping[str, Kind] = {
    "nodes": strings(_name(names.node_name)),
    "missing": integer(),
    "balancer": string(_name(names.node_name)),
    "services": string(_name(names.node_name)),
    "branch": string(_name(names.branch_name)),
    "users": strings(_name(names.user_name)),
    "domain": string(hostname),
    "default_app": string(_name(names.app_name)),
    "unit_test": boolean,
    "web": section(WEB),
}

LIMITS: Mapping[str, Kind] = {
    "pack": size(),
    "unpacked": size(),
    "files": integer(1),
    "boot": duration(),
    "ping": duration(),
    "update": duration(),
    "step": duration(),
    "wait": duration(),
}

KEEP: Mapping[str, Kind] = {"versions": integer(1), "running": integer(), "linger": duration(zero=True)}

KINDS: Mapping[str, Kind] = {
    "environments": sections(_environment_name, ENVIRONMENT),
    "default_environment": string(_environment_name),
    "domain": string(hostname),
    "python": string(_interpreter),
    "admins": strings(_name(names.user_name)),
    "providers": named(_name(names.provider_name), string_map(_provider_setting), lambda node: {}),
    "mail": named(hostname, strings(_name(names.app_name)), lambda node: ()),
    "limits": section(LIMITS),
    "keep": section(KEEP),
    "web": section(WEB),
}
"""Every key of gitdeploy.yaml, with what it takes."""
