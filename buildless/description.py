"""What an application is, in its own words: app.yaml, read and checked. buildless/app.example.yaml has every key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping

from . import entries, lifecycle, values, wanted
from .configuration import Configuration
from .cron import CronJob
from .document import Problem, Section, nearest, read, shown
from .kinds import lines, string, string_map, strings
from .lifecycle import CommandLine, Update
from .mail import Mailbox
from .processes import Process, words
from .shape import Kind
from .values import quoted

PLATFORMS = ("python", "wsgi", "asgi", "php", "command", "static")
RUNS = ("wsgi", "asgi", "php", "command")
"""The platforms that have a web process; of these there is one at most."""

TO_COME = (
    "default_host", "default_location", "packages", "requires", "update_fetch", "version",
)  # fmt: skip
"""Keys of the seed, of Silver Lining and of pywebapp's specification that do nothing yet."""

INSTEAD = {
    "packages": "write deb:",
    "requires": "write deb:",
    "default_host": "write locations:",
    "default_location": "write locations:",
}
"""What to write already now for some of them."""

FORMERLY = {
    "name": ("app_name",),
    "app": ("wsgi", "wsgi_app", "application"),
    "paths": ("add_paths", "path"),
    "command": ("cmd",),
    "processes": ("process_types", "workers"),
    "static": ("static_path",),
    "python": ("runtime",),
    "deb": ("dpkg", "debs", "apt"),
    "locations": ("hosts", "host", "domains"),
    "env": ("environ", "environment"),
}
"""Keys with their other spellings, mostly those of the projects before this one."""


@dataclass(frozen=True)
class Description:
    """An app.yaml that has no mistakes. What was not said is None or empty."""

    platform: tuple[str, ...]
    """Of `PLATFORMS`; ``wsgi`` and ``asgi`` are there with ``python`` only, and one of `RUNS` or ``static`` always is."""

    name: str | None = None
    app: str | None = None
    """``module:object``, the WSGI or ASGI application; with ``wsgi`` there is either this or `runner`."""

    runner: str | None = None
    """The file, relative to the top of the tree, that defines ``application``."""

    command: tuple[str, ...] = ()
    """The words of the command that is the web process; with ``command``, and only then."""

    processes: Mapping[str, Process] = field(default_factory=dict)
    """The other process types, by name."""

    paths: tuple[str, ...] = ()
    """Directories, relative to the top of the tree, that stand on sys.path."""

    static: str | None = None
    """The directory served at the root of the site. None: not said, which means ``static`` if that is there."""

    python: str | None = None
    """A requirement for `python_satisfies`."""

    os: tuple[str, ...] = ()
    deb: tuple[str, ...] = ()
    deb_answers: tuple[str, ...] = ()
    """Answers to the questions of these packages, as lines for debconf-set-selections(1)."""

    rpm: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    """Host names, in small letters; with a path, if need be: ``example.com/blog``."""

    ping: str | None = None
    """A URL path. None: not said."""

    update: Update | None = None
    install: CommandLine = ()
    before_update: CommandLine = ()
    check_environment: CommandLine = ()
    health_check: CommandLine = ()
    unit_test: CommandLine = ()
    before_delete: CommandLine = ()
    cron: Mapping[str, CronJob] = field(default_factory=dict)
    mail: tuple[Mailbox, ...] = ()
    """What takes messages; the first whose pattern stands for an address gets those to it."""

    config: Configuration | None = None
    services: Mapping[str, wanted.Options] = field(default_factory=dict)
    """The options of each service that it wants, by its name (buildless/services)."""

    env: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """``FILE:LINE: KEY: ...`` for what is understood but does nothing here, or not yet."""

    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    """Where each key stands, for messages about what it names."""


def parse(text: bytes, filename: str = "app.yaml") -> Description:
    """The description that `text`, an app.yaml, gives; `filename` is for messages. Raises DocumentError with all mistakes."""
    renamed = {old: key for key, spellings in FORMERLY.items() for old in spellings}
    section = read(text, filename, KINDS, renamed=renamed, ignored=(*TO_COME, "service"))
    _check_platform(section)
    _check_services(section)
    return Description(**{"platform": (), **section.checked()}, warnings=_warnings(section), lines=section.lines)


def _check_platform(section: Section) -> None:
    """The mistakes that show only when keys are seen together. A platform that is wrong itself is left alone."""
    platform = section.values.get("platform")
    if platform is None:
        if "platform" not in section.lines:
            section.problem("platform", "it is missing; write `platform: python, wsgi`, or `platform: static`")
        return
    runs = [name for name in RUNS if name in platform]
    if len(runs) > 1:
        section.problem("platform", f"{' and '.join(runs)} both answer requests; leave one of them out")
    elif not runs and "static" not in platform:
        section.problem("platform", "nothing in it answers requests; write `platform: python, wsgi`")
    else:
        _check_keys(section, platform, runs[0] if runs else "static")


def _check_keys(section: Section, platform: tuple[str, ...], runs: str) -> None:
    """Whether the keys that say what runs are those that go with what answers requests."""
    apps = [key for key in ("app", "runner") if key in section.lines]
    python = runs in ("wsgi", "asgi")
    if python and "python" not in platform:
        section.problem("platform", f"{runs} needs python; write `platform: python, {runs}`")
    if apps and not python:
        section.problem(apps[0], "this needs `platform: python, wsgi`; write that, or leave this out")
    elif python and not apps:
        others = ", or `runner: FILE`" if runs == "wsgi" else ""
        section.problem("platform", f"{runs} needs an application; write `app: module:object`{others}")
    elif runs == "asgi" and "runner" in apps:
        section.problem("runner", "a runner is a WSGI application; write `app: module:object`")
    elif len(apps) == 2:
        section.problem("runner", "app and runner both name the application; leave one of them out")
    if "command" in section.lines and runs != "command":
        section.problem("command", "this needs `platform: command`; write that, or name it under `processes:`")
    elif runs == "command" and "command" not in section.lines:
        section.problem("platform", "command needs a command; write `command: node server.js`")


def _check_services(section: Section) -> None:
    """What shows when all services are seen, and how Silver Lining wrote them."""
    if problem := wanted.contradiction(section.values.get("services", {})):
        section.problem("services", problem)
    for key, line in list(section.ignored.items()):
        first, _, name = key.partition(".")
        if first == "service":
            del section.ignored[key]
            what = shown(name) if name else "postgresql"
            section.problems.append(Problem(line, f"services are a list here; write services: [{what}]", shown(key)))


def _warnings(section: Section) -> tuple[str, ...]:
    found = []
    for key, line in section.ignored.items():
        advice = f"; {INSTEAD[key]}" if key in INSTEAD else ""
        found.append((line, f"{shown(key)}: not supported yet, ignored{advice}"))
    if "rpm" in section.values:
        found.append((section.lines["rpm"], "rpm: does not apply on Debian, where deb: names the packages"))
    return tuple(f"{section.filename}:{line}: {text}" for line, text in sorted(found))


def _platform(text: str) -> str:
    if text not in PLATFORMS:
        guess = nearest(text, PLATFORMS)
        advice = f"did you mean {guess}?" if guess else f"write one or more of {', '.join(PLATFORMS)}"
        raise ValueError(f"unknown platform {quoted(text)}; {advice}")
    return text


KINDS: Mapping[str, Kind] = {
    "name": string(values.app_name),
    "platform": strings(_platform, PLATFORMS),
    "app": string(values.object_name),
    "runner": string(values.tree_path),
    "command": string(words),
    "processes": entries.processes(),
    "paths": strings(values.tree_path),
    "static": string(values.tree_path),
    "python": string(values.python_requirement),
    "os": strings(values.system),
    "deb": strings(values.debian_package),
    "deb_answers": lines(values.debconf_answer),
    "rpm": strings(values.rpm_package),
    "pip": strings(values.requirement),
    "locations": strings(values.location),
    "ping": string(values.url_path),
    **dict.fromkeys(lifecycle.MOMENTS, entries.command),
    "update": entries.update,
    "cron": entries.jobs,
    "mail": entries.mail,
    "config": entries.configuration,
    "services": wanted.services,
    "env": string_map(values.variable),
}
"""Every key of app.yaml that is understood, with what it takes."""
