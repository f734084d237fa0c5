"""What an application is, in its own words: app.yaml, read and checked. buildless/app.example.yaml has every key."""

from __future__ import annotations

import keyword
import operator
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from .document import Kind, Section, nearest, quoted, read
from .kinds import string, string_map, strings

PLATFORMS = ("python", "wsgi", "static")
PLATFORMS_TO_COME = ("asgi", "php", "command")

TO_COME = (
    "before_delete", "before_update", "check_environment", "config", "cron", "deb_answers", "default_host",
    "default_location", "health_check", "install", "mail", "packages", "processes", "requires", "service", "services",
    "unit_test", "update", "update_fetch", "version",
)  # fmt: skip
"""Keys of the seed, of Silver Lining and of pywebapp's specification that do nothing yet."""

INSTEAD = {"packages": "write deb:", "requires": "write deb:", "default_host": "write locations:"}
"""What to write already now for some of them."""

FORMERLY = {
    "name": ("app_name",),
    "app": ("wsgi", "wsgi_app", "application"),
    "paths": ("add_paths", "path"),
    "static": ("static_path",),
    "python": ("runtime",),
    "deb": ("dpkg", "debs", "apt"),
    "locations": ("hosts", "host", "domains"),
    "env": ("environ", "environment"),
}
"""Keys with their other spellings, mostly those of the projects before this one."""

_APP_NAME = re.compile(r"[a-z](?!.--)[a-z0-9-]{0,40}(?<!-)|[a-z]")
_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_HOST_LABEL}\.)*(?![0-9]+$){_HOST_LABEL}")
_DEB = re.compile(r"[a-z0-9][a-z0-9+.-]+(?<!-)(?<![^+]\+)")
_RPM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]+\])? *(?:(?:[=!~]=|[<>]=?) *[0-9][^/:@]*)?")
_OS = re.compile(r"[a-z0-9][a-z0-9._-]*")
_URL_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"(<=|>=|==|!=|<|>)? *([0-9]{1,4}(?:\.[0-9]{1,4}){0,2})(?:\.\*)?")

_INJECTED = frozenset(
    ["HOME", "PATH", "PORT", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "SOCKET", "TMPDIR"]
)
_INJECTED_PREFIXES = ("APP_", "CONFIG_", "GUNICORN_", "LD_", "LISTEN_")

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Description:
    """An app.yaml that has no mistakes. What was not said is None or empty."""

    platform: tuple[str, ...]
    """Of `PLATFORMS`; ``wsgi`` is there with ``python`` only, and one of ``wsgi`` and ``static`` always is."""

    name: str | None = None
    app: str | None = None
    """``module:object``, the WSGI application; with ``wsgi`` there is either this or `runner`."""

    runner: str | None = None
    """The file, relative to the top of the tree, that defines ``application``."""

    paths: tuple[str, ...] = ()
    """Directories, relative to the top of the tree, that stand on sys.path."""

    static: str | None = None
    """The directory served at the root of the site. None: not said, which means ``static`` if that is there."""

    python: str | None = None
    """A requirement for `python_satisfies`."""

    os: tuple[str, ...] = ()
    deb: tuple[str, ...] = ()
    rpm: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    """Host names, in small letters."""

    ping: str | None = None
    """A URL path. None: not said."""

    env: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """``FILE:LINE: KEY: ...`` for what is understood but does nothing yet."""


def parse(text: bytes, filename: str = "app.yaml") -> Description:
    """The description that `text`, an app.yaml, gives; `filename` is for messages. Raises DocumentError with all mistakes."""
    renamed = {old: key for key, spellings in FORMERLY.items() for old in spellings}
    section = read(text, filename, KINDS, renamed=renamed, ignored=TO_COME)
    _check_platform(section)
    return Description(**{"platform": (), **section.checked()}, warnings=_warnings(section))


def python_satisfies(requirement: str, version: tuple[int, ...]) -> bool:
    """Whether a Python of this version, such as ``(3, 11, 2)``, is one that `requirement`, such as ``>=3.9,<3.13``, takes.

    A version with fewer parts means the whole series: 3.11.2 is ``3.11``, ``<=3.11`` and not ``>3.11``. Raises ValueError.
    """
    for clause in requirement.split(","):
        match = _VERSION.fullmatch(clause.strip())
        if match is None:
            advice = "write such as 3.11 or >=3.9,<3.13, in quotes"
            raise ValueError(f"{quoted(clause.strip())} is no version of Python that can be required; {advice}")
        wanted = tuple(int(part) for part in match[2].split("."))
        if not _OPERATORS[match[1] or ""](version[: len(wanted)], wanted):
            return False
    return True


def hostname(text: str) -> str:
    """A host name (RFC 1123, section 2.1), returned in small letters. Raises ValueError."""
    name = text.lower()
    if "*" in name:
        raise ValueError(f"{quoted(text)} means many hosts; write each host name by itself")
    if not _HOST.fullmatch(name) or len(name) > 253:
        advice = "write it alone, such as shop.example.com: no http://, no port, no spaces"
        raise ValueError(f"{quoted(text)} is no host name; {advice}")
    return name


def _check_platform(section: Section) -> None:
    """The mistakes that show only when keys are seen together. A platform that is wrong itself is left alone."""
    platform = section.values.get("platform")
    if platform is None:
        if "platform" not in section.lines:
            section.problem("platform", "it is missing; write `platform: python, wsgi`, or `platform: static`")
        return
    runs = [key for key in ("app", "runner") if key in section.lines]
    if "wsgi" not in platform and "static" not in platform:
        section.problem("platform", "nothing in it answers requests; write `platform: python, wsgi`")
    elif "wsgi" not in platform and runs:
        section.problem(runs[0], "this needs `platform: python, wsgi`; write that, or leave this out")
    elif "wsgi" in platform and "python" not in platform:
        section.problem("platform", "wsgi needs python; write `platform: python, wsgi`")
    if "wsgi" in platform and not runs:
        section.problem("platform", "wsgi needs an application; write `app: module:object`, or `runner: FILE`")
    if "wsgi" in platform and len(runs) == 2:
        section.problem("runner", "app and runner both name the application; leave one of them out")


def _warnings(section: Section) -> tuple[str, ...]:
    found = [(line, key, INSTEAD.get(key)) for key, line in section.ignored.items()]
    if "pip" in section.values:
        found.append((section.lines["pip"], "pip", "put the libraries in the tree, and their directory in paths:"))
    return tuple(
        f"{section.filename}:{line}: {key}: not supported yet, ignored{'; ' + advice if advice else ''}"
        for line, key, advice in sorted(found, key=lambda warning: warning[0])
    )


def _matching(pattern: re.Pattern[str], what: str, advice: str) -> Callable[[str], str]:
    """A check that text is all `pattern`."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{quoted(text)} is no {what}; {advice}")
        return text

    return check


def _platform(text: str) -> str:
    if text in PLATFORMS_TO_COME:
        raise ValueError(f"{text} is not supported yet; write one or two of {', '.join(PLATFORMS)}")
    if text not in PLATFORMS:
        guess = nearest(text, [*PLATFORMS, *PLATFORMS_TO_COME])
        advice = f"did you mean {guess}?" if guess else f"write one or more of {', '.join(PLATFORMS)}"
        raise ValueError(f"unknown platform {quoted(text)}; {advice}")
    return text


def _dotted(text: str) -> bool:
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in text.split("."))


def _object(text: str) -> str:
    module, _, name = text.partition(":")
    if module.endswith(".py") or not _dotted(module) or not _dotted(name):
        raise ValueError(f"{quoted(text)} is no module:object; write such as shop.wsgi:application, without .py or ()")
    return text


def _path(text: str) -> str:
    if text.startswith(("/", "-", "~")) or ".." in text.split("/") or "\\" in text:
        advice = "write one such as lib/python: no / - ~ in front, no .., no \\"
        raise ValueError(f"{quoted(text)} is no path below the top of the tree; {advice}")
    normal = posixpath.normpath(text)
    if normal == ".":
        raise ValueError(f"{quoted(text)} is the top of the tree itself; write a path below it, such as vendor")
    return normal


def _python(text: str) -> str:
    for clause in text.split(","):
        python_satisfies(clause, ())
    return text


def _requirement(text: str) -> str:
    if text.endswith(".txt"):
        return _path(text)
    advice = "write requirements.txt, or a name with a version: no URL, no option"
    return _matching(_REQUIREMENT, "file of requirements and no package", advice)(text)


def _location(text: str) -> str:
    host, _, path = text.partition("/")
    if path and "://" not in text:
        raise ValueError(f"{quoted(text)}: a location with a path is not supported yet; write {hostname(host)}")
    return hostname(host if "://" not in text else text)


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no name of a variable; write letters, digits and _, such as DEBUG_LEVEL")
    if text in _INJECTED or text.startswith(_INJECTED_PREFIXES):
        raise ValueError(f"{text} is set by the environment; leave it out, or write another name")
    return text


KINDS: Mapping[str, Kind] = {
    "name": string(_matching(_APP_NAME, "name", "write small letters, digits and -, at most 41, such as my-shop")),
    "platform": strings(_platform),
    "app": string(_object),
    "runner": string(_path),
    "paths": strings(_path),
    "static": string(_path),
    "python": string(_python),
    "os": strings(lambda text: _matching(_OS, "name of a system", "write such as posix, linux, debian")(text.lower())),
    "deb": strings(
        _matching(_DEB, "Debian package", "write its name alone: no version, option, path, URL or final - +")
    ),
    "rpm": strings(_matching(_RPM, "RPM package", "write its name alone: no version, option, path or URL")),
    "pip": strings(_requirement),
    "locations": strings(_location),
    "ping": string(_matching(_URL_PATH, "path of a URL", "write it without the host, such as /ping")),
    "env": string_map(_variable),
}
"""Every key of app.yaml that is understood, with what it takes."""
