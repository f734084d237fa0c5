"""Libraries that pip installs: the fallback for what is neither in the tree nor a Debian package. Wheels only, never a compiler."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from buildless.errors import NodeError
from buildless.node import facts, versions
from buildless.node.layout import AppLayout, Layout

TIMEOUT = 600  # seconds that pip may take
SHOWN = 20  # lines of what pip wrote
_NESTED = re.compile(r"(-r|--requirement|-c|--constraint)[ =]\s*(\S+)")
_ALLOWED = re.compile(r"(-i|--index-url|--extra-index-url|--pre|--prefer-binary|--require-hashes|--only-binary)\b")
_ELSEWHERE = re.compile(r"(^|[\s@])([a-z][a-z0-9+.]*:/|[./]|git\+)|^\S+\.(whl|zip|tar\.\S+|tgz)\b", re.IGNORECASE)


def wheels(layout: Layout, app: str, *, version: str, pip: List[str], python: str) -> Dict[str, Any]:
    """Install what `pip`, files of requirements in the version's tree and names of packages, asks for.

    Says into which directory, and whether that is new: it is named by the content of the requirements and the interpreter, and
    the same again costs nothing.
    """
    if not pip:
        return {"directory": None, "new": False}
    home = layout.app(app)
    read = reader(home.version(version))
    files = {name: requirements(read, name) for name in pip if name.endswith(".txt")}
    texts = {path: text for found in files.values() for path, text in found.items()}
    number = facts.python_version(python)[:2]
    into = home.wheels / digest(
        [*sorted(texts.items()), *((name, "") for name in pip), (platform.machine(), str(number))]
    )
    new = not into.is_dir()
    if new:
        install(home, home.version(version), pip, python, into)
    return {"directory": str(into), "new": new}


def digest(parts: List[Tuple[str, str]]) -> str:
    """A name for what is installed, the same for the same requirements."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def reader(tree: Path) -> Callable[[str], bytes]:
    """What reads a file of the tree, for `requirements`."""
    return lambda path: (tree / path).read_bytes()


def requirements(read: Callable[[str], bytes], name: str) -> Dict[str, str]:
    """A file of requirements and those that it includes: their texts by path in the tree. Refuses what is not only wheels.

    `read` gives the bytes of a path, or raises OSError.
    """
    found: Dict[str, str] = {}
    waiting = [name]
    while waiting:
        path = os.path.normpath(waiting.pop())
        if path in found:
            continue
        if path.startswith(("/", "..")):
            raise NodeError(f"pip: {path} is not in the tree; write a path below its top")
        try:
            found[path] = read(path).decode("utf-8")
        except (OSError, UnicodeError) as error:
            raise NodeError(f"pip: {path} cannot be read ({error}); put the file there, in UTF-8") from error
        for number, line in logical_lines(found[path]):
            nested = _NESTED.fullmatch(line)
            if nested:
                waiting.append(os.path.join(os.path.dirname(path), nested[2]))
            elif advice := refusal(line):
                raise NodeError(f"pip: {path}:{number}: {line!r} cannot be installed here; {advice}")
    return found


def logical_lines(text: str) -> List[Tuple[int, str]]:
    """The lines that say something, each with its number: without comments, joined where a backslash says so.

    >>> logical_lines("# none\\nflask==3.0 \\\\\\n  --hash=sha256:00 # why\\n\\nlxml\\n")
    [(2, 'flask==3.0   --hash=sha256:00'), (5, 'lxml')]
    """
    found: List[Tuple[int, str]] = []
    joined, begin = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw)
        begin = begin or number
        joined += line[:-1] if line.endswith("\\") else line
        if not line.endswith("\\"):
            if joined.strip():
                found.append((begin, joined.strip()))
            joined, begin = "", 0
    return [*found, (begin, joined.strip())] if joined.strip() else found


def refusal(line: str) -> str | None:
    """What to write instead of a line of requirements that is not a package with versions; None for one that is.

    >>> refusal("flask[async]>=3,<4; python_version >= '3.9'"), refusal("--extra-index-url https://pypi.example.com/simple")
    (None, None)
    >>> refusal("-e git+https://example.com/shop.git#egg=shop")
    'put it in the tree and its directory in paths:'
    >>> refusal("--no-binary :all:")
    'leave it out: only wheels are installed, nothing is built on a node'
    """
    if line.startswith(("-e", "--editable")):
        return "put it in the tree and its directory in paths:"
    if line.startswith("-"):
        if _ALLOWED.match(line):
            return None
        return "leave it out: only wheels are installed, nothing is built on a node"
    if _ELSEWHERE.search(line.partition(";")[0]):
        return "write a name with a version, or put it in the tree and its directory in paths:"
    return None


def argv(python: str, into: str, pip: List[str]) -> Tuple[str, ...]:
    """pip's command line; it runs in the version's tree. See pip-install(1)."""
    wanted = [word for name in pip for word in (("-r", name) if name.endswith(".txt") else (name,))]
    how = ("--only-binary", ":all:", "--no-input", "--no-compile", "--no-cache-dir", "--disable-pip-version-check")
    return (python, "-m", "pip", "install", "--quiet", *how, "--target", into, *wanted)


def install(home: AppLayout, tree: Path, pip: List[str], python: str, into: Path) -> None:
    """Run pip with the rights of the app; what it made gets its name when it is whole, and then nobody may write it."""
    new = into.with_name(".new-" + into.name)
    try:
        run(home, tree, pip, python, new)
        close(new / "lib", home.node.owners.take)
        (new / "lib").rename(into)
    finally:
        versions.remove_tree(new)


def run(home: AppLayout, tree: Path, pip: List[str], python: str, new: Path) -> None:
    """Have pip fill ``new/lib``; what it needs meanwhile is beside that."""
    owners = home.node.owners
    versions.remove_tree(new)
    (new / "lib").mkdir(parents=True)
    (new / "tmp").mkdir()
    owners.give(home.name, new / "lib", new / "tmp")
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": str(new / "tmp"), "TMPDIR": str(new / "tmp")}
    environ.update({name: value for name, value in os.environ.items() if name.startswith("PIP_")})
    try:
        done = subprocess.run(
            argv(python, str(new / "lib"), pip), cwd=tree, env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT, check=False,
            **owners.process(home.name),
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"pip did not end within {TIMEOUT} s; ask for less, or put libraries in the tree") from error
    if done.returncode != 0:
        raise NodeError(*reason(done.stdout))


def reason(output: str) -> Tuple[str, ...]:
    """What pip says that went wrong, and the last lines that it wrote."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if any("No module named pip" in line for line in lines):
        return ("pip is not there; set the node up again, or install python3-pip on it",)
    broken = [line for line in lines if "connection broken" in line]
    if broken:
        return (f"pip does not get to the index of packages: {broken[-1]}; look at the node's network", *lines[-SHOWN:])
    if any("No matching distribution" in line for line in errors):
        advice = "there may be no wheel for this Python: name the Debian package under deb:, or another version"
        return (f"pip: {errors[-1]}; {advice}", *lines[-SHOWN:])
    return (f"pip: {(errors or lines or ['it failed and said nothing'])[-1]}", *lines[-SHOWN:])


def close(top: Path, take: Any) -> None:
    """Make everything below `top` ours, and read-only."""
    for directory, _, names in os.walk(top):
        take(directory)
        for name in names:
            path = os.path.join(directory, name)
            take(path)
            if not os.path.islink(path):
                os.chmod(path, 0o555 if os.stat(path).st_mode & 0o100 else 0o444)
        os.chmod(directory, 0o555)
