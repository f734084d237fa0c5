"""The checks of single values of app.yaml: each takes text and returns what it means, or raises ValueError with what to write."""

from __future__ import annotations

import json
import keyword
import operator
import posixpath
import re
from typing import Any, Callable, Mapping

_APP_NAME = re.compile(r"[a-z](?!.--)[a-z0-9-]{0,40}(?<!-)|[a-z]")
_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_HOST_LABEL}\.)*(?![0-9]+$){_HOST_LABEL}")
_DEB = re.compile(r"[a-z0-9][a-z0-9+.-]+(?<!-)(?<![^+]\+)")
_RPM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._,-]+\])? *(?:(?:[=!~]=|[<>]=?) *[0-9][^/:@]*)?")
_OS = re.compile(r"[a-z0-9][a-z0-9._-]*")
_URL_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_DEBCONF = re.compile(r"[a-z0-9][a-z0-9+.-]+ [A-Za-z0-9][A-Za-z0-9+._-]*(?:/[A-Za-z0-9+._-]+)+ ([a-z]+)(?: (.*))?")
_DEBCONF_TYPES = ("boolean", "multiselect", "note", "password", "select", "string", "text", "title", "error")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"(<=|>=|==|!=|<|>)? *([0-9]{1,4}(?:\.[0-9]{1,4}){0,2})(?:\.\*)?")

_PART = r"[a-z0-9][a-z0-9_~-]*(?:\.[a-z0-9_~-]+)*"
_LOCATION_PATH = re.compile(rf"{_PART}(?:/{_PART}){{0,2}}")

ANY = "*"
"""The location of an app that answers for the host names that nobody has (`default_app` of gitdeploy.yaml)."""

LONGEST_PATH = 100
"""Characters of a location's path."""

_INJECTED = frozenset(
    ["HOME", "PATH", "PORT", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "SOCKET", "TMPDIR"]
)
_INJECTED_PREFIXES = ("APP_", "CONFIG_", "GUNICORN_", "LD_", "LISTEN_")

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def quoted(text: str) -> str:
    """`text` in quotes as it may stand in a message, and in YAML: all but printable ASCII escaped, not too long."""
    return json.dumps(text if len(text) <= 60 else text[:60] + "...")


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


def matching(pattern: re.Pattern[str], what: str, advice: str) -> Callable[[str], str]:
    """A check that text is all `pattern`."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{quoted(text)} is no {what}; {advice}")
        return text

    return check


def _dotted(text: str) -> bool:
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in text.split("."))


def object_name(text: str) -> str:
    module, _, name = text.partition(":")
    if module.endswith(".py") or not _dotted(module) or not _dotted(name):
        raise ValueError(f"{quoted(text)} is no module:object; write such as shop.wsgi:application, without .py or ()")
    return text


def tree_path(text: str) -> str:
    if text.startswith(("/", "-", "~")) or ".." in text.split("/") or "\\" in text:
        advice = "write one such as lib/python: no / - ~ in front, no .., no \\"
        raise ValueError(f"{quoted(text)} is no path below the top of the tree; {advice}")
    normal = posixpath.normpath(text)
    if normal == ".":
        raise ValueError(f"{quoted(text)} is the top of the tree itself; write a path below it, such as vendor")
    return normal


def python_requirement(text: str) -> str:
    for clause in text.split(","):
        python_satisfies(clause, ())
    return text


def debian_package(text: str) -> str:
    """The name of a Debian package and nothing more: no version, option, path, URL or final - +. Raises ValueError."""
    advice = "write its name alone: no version, option, path, URL or final - +"
    return matching(_DEB, "Debian package", advice)(text)


def debconf_answer(text: str) -> str:
    """An answer as debconf-get-selections prints it: ``OWNER QUESTION TYPE VALUE``, with single spaces. Raises ValueError."""
    line = " ".join(text.split(None, 3)).strip()
    match = _DEBCONF.fullmatch(line)
    if match is None or not line.isprintable():
        advice = "write OWNER QUESTION TYPE VALUE, as debconf-get-selections prints it"
        raise ValueError(f"{quoted(text)} is no answer for debconf; {advice}")
    kind, value = match.groups()
    if kind not in _DEBCONF_TYPES:
        raise ValueError(
            f"{quoted(kind)} is no type that debconf has; write one of {', '.join(sorted(_DEBCONF_TYPES))}"
        )
    if kind == "boolean" and value not in ("true", "false"):
        raise ValueError(f"{quoted(value or '')} is no answer to a boolean question; write true or false")
    return line


def requirement(text: str) -> str:
    if text.endswith(".txt"):
        return tree_path(text)
    advice = "write requirements.txt, or a name with a version: no URL, no option"
    return matching(_REQUIREMENT, "file of requirements and no package", advice)(text)


def location(text: str) -> str:
    """A host name, or one with a path: ``example.com/blog``. Raises ValueError."""
    host, _, path = text.partition("/")
    if "://" in text:
        return hostname(text)
    name, path = hostname(host), path.rstrip("/")
    if not path:
        return name
    if not _LOCATION_PATH.fullmatch(path) or len(path) > LONGEST_PATH:
        advice = f"write one to three parts of small letters, digits and . _ ~ -, such as {name}/blog"
        raise ValueError(f"{quoted(text)} has a path that no location can have; {advice}")
    return f"{name}/{path}"


def split_location(text: str) -> tuple[str, str]:
    """The host name of a location, and its path, empty or with a slash in front.

    >>> split_location("example.com/blog"), split_location("example.com")
    (('example.com', '/blog'), ('example.com', ''))
    """
    host, slash, path = text.partition("/")
    return host, slash + path


def variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no name of a variable; write letters, digits and _, such as DEBUG_LEVEL")
    if text in _INJECTED or text.startswith(_INJECTED_PREFIXES):
        raise ValueError(f"{text} is set by the environment; leave it out, or write another name")
    return text


app_name = matching(_APP_NAME, "name", "write small letters, digits and -, at most 41, such as my-shop")
rpm_package = matching(_RPM, "RPM package", "write its name alone: no version, option, path or URL")
url_path = matching(_URL_PATH, "path of a URL", "write it without the host, such as /ping")


def system(text: str) -> str:
    """The name of a system, such as posix, linux or debian, returned in small letters. Raises ValueError."""
    return matching(_OS, "name of a system", "write such as posix, linux, debian")(text.lower())
