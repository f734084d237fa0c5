"""The one checker of names that come from outside, so that everything behind it may trust them in paths and commands.

Each function takes what somebody wrote and returns the name, or raises BadName with what to write instead.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .errors import BadName, NotFound

MAX_PATH = 200
"""Characters of a repository path; the longest one that can be right has 88."""

MAX_REF = 240
"""Bytes of a full ref: git makes a file of that name plus ``.lock``, and file names end at 255."""

SYSTEM_DIRECTORIES = frozenset(
    "bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc root run sbin srv sys tmp usr var".split()  # noqa: SIM905
)
"""The root directories of Debian (FHS 3.0, section 3): ``deploy@host:/etc`` is a mistake, and no app."""

RESERVED = frozenset(("deploy", "git", "gitdeploy", "localhost", "localdomain", "nobody", "www"))
"""Names that mean the server itself, a user of it or all of a domain, and so no app."""

EMBEDDED = "embedded"
"""The node that is the server's own machine."""

_LABEL = re.compile(r"[a-z][a-z0-9-]{0,40}")
_USER = re.compile(r"[a-z][a-z0-9_.-]{0,31}")
_RELEASE = re.compile(r"v([1-9][0-9]{0,8})")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF_REFUSED = re.compile(r"[ ~^:?*\[\\]|\.\.|@\{")


@dataclass(frozen=True, order=True)
class Place:
    """An app in an environment: what one remote points to. ``str(place)`` is ``production/shop``; see `spell`."""

    app: str
    environment: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.app}"


def spell(place: Place, default: str) -> str:
    """The shortest name that `repository` reads as `place`: the environment is left out if it is the `default` one."""
    return place.app if place.environment == default else str(place)


def app_name(text: str) -> str:
    """An app's name: a DNS label (RFC 1123), since it becomes a host name, that no machine uses for something else.

    That it is no environment's name either is for the one who knows the environments: see `repository`.
    """
    name = _label("an app", "shop", text)
    if name in SYSTEM_DIRECTORIES:
        raise BadName(
            f"{quoted(name)} is a directory of the system and no app; name the app, such as shop or my-{name}"
        )
    if name in RESERVED:
        raise BadName(
            f"{quoted(name)} means something else on a server and cannot be an app; write another, such as my-{name}"
        )
    return name


def environment_name(text: str) -> str:
    """An environment's name: a DNS label (RFC 1123), since it is part of host names: ``shop.staging.example.com``."""
    return _label("an environment", "staging", text)


def node_name(text: str) -> str:
    """A node's name: a DNS label (RFC 1123), since a machine made by create-node gets it as its host name."""
    return _label("a node", "web1", text)


def provider_name(text: str) -> str:
    """A provider's name, of those that gitdeploy.yaml lists."""
    return _label("a provider", "local", text)


def user_name(text: str) -> str:
    """The name of a person who may push: at most 32 characters, of the kind that Debian's adduser takes."""
    if not _USER.fullmatch(text):
        raise BadName(
            f"{quoted(text)} cannot be a user's name; write a small letter, then up to 31 of a-z 0-9 _ . -, such as alice"
        )
    return text


def release_name(text: str) -> int:
    """The number of a release from its name: ``v7`` is 7."""
    if match := _RELEASE.fullmatch(text):
        return int(match[1])
    digits = re.sub(r"[^0-9]", "", text[:40]).lstrip("0")[:9]
    raise BadName(
        f"{quoted(text)} is no release; releases are v1, v2, v3 and so on: write {'v' + digits if digits else 'v1'}"
    )


def ref_name(name: str | bytes) -> str:
    """A full ref, such as ``refs/heads/master``, as git-check-ref-format(1) allows it, and that no command mistakes.

    More is refused than git refuses: a component that starts with ``-``; what does not print; a branch or tag called HEAD
    or like an object id, which git itself would find ambiguous; more than `MAX_REF` bytes.
    """
    ref = _text("ref", name)
    if not ref.startswith("refs/"):
        raise BadName(
            f"{quoted(ref)} is no full ref; write refs/heads/{ref if ref.isascii() and ref.isalnum() else 'master'}"
        )
    _check_ref(ref)
    components = ref.split("/")
    if len(components) < 3:
        raise BadName(f"{quoted(ref)} names no branch and no tag; write refs/heads/BRANCH or refs/tags/TAG")
    if components[1] in ("heads", "tags"):
        _check_short("/".join(components[2:]))
    return ref


def branch_name(name: str | bytes) -> str:
    """A branch, such as ``master`` or ``feature/x``, without ``refs/heads/``; the rules of `ref_name` hold."""
    branch = _text("branch", name)
    if branch.startswith("refs/"):
        raise BadName(f"{quoted(branch)} is a full ref; write the branch alone, without refs/heads/")
    return ref_name(f"refs/heads/{branch}").removeprefix("refs/heads/")


def object_id(name: str | bytes) -> str:
    """A full object id in small hexadecimal digits: 40 (SHA-1) or 64 (SHA-256). Git's all-zero 'no object' is one too."""
    text = _text("object id", name)
    if not _OBJECT_ID.fullmatch(text):
        raise BadName(f"{quoted(text)} is no full object id; write all 40 digits, as `git rev-parse` prints them")
    return text


def repository(path: str, environments: Collection[str], default: str) -> Place:
    """The app and environment that the path of a remote names: ``shop``, ``staging/shop``, each also ``/...`` and ``....git``.

    `path` is what git sends: ``/staging/shop`` for ``ssh://deploy@host/staging/shop``, ``shop`` for ``deploy@host:shop``.
    """
    if len(path) > MAX_PATH:
        raise BadName(f"the repository path has {len(path)} characters; write APP or ENVIRONMENT/APP, such as shop")
    if path.startswith(("~", "/~")):
        raise BadName(f"{quoted(path)}: there are no home directories here; write the path without ~, such as shop")
    parts = path.removeprefix("/").removesuffix("/").removesuffix(".git").split("/")
    if len(parts) > 2 or not all(parts):
        raise BadName(
            f"{quoted(path)} is no repository here; write APP or ENVIRONMENT/APP, such as shop or staging/shop"
        )
    if len(parts) == 1:
        environment, app = default, app_name(parts[0])
    else:
        environment, app = _known_environment(parts[0], environments), app_name(parts[1])
    if app in environments:
        raise BadName(f"{quoted(app)} is an environment and no app; write {app}/APP, such as {app}/shop")
    return Place(app, environment)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, or None (difflib's ratio, at least 0.6)."""
    spellings = {name.casefold(): name for name in sorted(known, reverse=True)}
    found = difflib.get_close_matches(word[:MAX_PATH].casefold(), sorted(spellings), n=1)
    return spellings[found[0]] if found else None


def quoted(text: str) -> str:
    """`text` as it may stand in a message: in quotes, all but printable ASCII escaped (look-alikes show), not too long."""
    return ascii(text) if len(text) <= 80 else ascii(text[:80]) + "..."


def _label(what: str, example: str, text: str) -> str:
    # RFC 5891 section 4.2.3.1 keeps the third and fourth place for prefixes such as xn--
    if not _LABEL.fullmatch(text) or text.endswith("-") or text[2:4] == "--":
        raise BadName(
            f"{quoted(text)} cannot be {what}'s name, which becomes part of a host name;"
            f" write a small letter, then up to 40 of a-z 0-9 -, not ending in -, such as {example}"
        )
    return text


def _known_environment(text: str, environments: Collection[str]) -> str:
    if environment_name(text) in environments:
        return text
    guess = nearest(text, environments)
    advice = f"did you mean {guess}?" if guess else f"write one of {', '.join(sorted(environments))}"
    raise NotFound(f"there is no environment {quoted(text)}; {advice}")


def _text(what: str, name: str | bytes) -> str:
    """`name` as text that prints. Anything else, such as bytes that are no UTF-8, can be shown to nobody."""
    try:
        text = name.decode() if isinstance(name, bytes) else name
        size = len(text.encode())
    except UnicodeError:
        shown = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
        raise BadName(
            f"the {what} {quoted(shown)} is not UTF-8; rename it with letters that every machine knows"
        ) from None
    if not text:
        raise BadName(f"the {what} is empty; write its name")
    if size > MAX_REF:
        raise BadName(f"the {what} {quoted(text)} has {size} bytes; write at most {MAX_REF - len('refs/heads/')}")
    if not text.isprintable():
        raise BadName(f"the {what} {quoted(text)} has characters that do not print; rename it without them")
    return text


def _check_ref(ref: str) -> None:
    """The rules of git-check-ref-format(1) that hold for every full ref, and the dash."""
    problem = None
    if match := _REF_REFUSED.search(ref):
        problem = f"{match[0]!r} may not be in it"
    for component in ref.split("/"):
        if not component:
            problem = "a part of it between slashes is empty"
        elif component.startswith(("-", ".")):
            problem = f"no part of it may start with {component[0]!r}"
        elif component.endswith((".", ".lock")):
            problem = "no part of it may end with '.' or '.lock'"
    if problem:
        raise BadName(f"{quoted(ref)} is no name for a ref: {problem}; rename it, such as refs/heads/feature-1")


def _check_short(short: str) -> None:
    if short in ("HEAD", "@"):
        raise BadName(f"a branch or tag called {short} hides the real HEAD; rename it: git branch -m {short} master")
    if _OBJECT_ID.fullmatch(short):
        raise BadName(f"{quoted(short)} as a branch or tag looks like an object id; rename it, such as feature-1")
