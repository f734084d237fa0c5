"""``python3 -m buildless.oneoff RELEASE_DIR JSON``: becomes a command of a release, in the environment of its processes.

JSON has `words`, the command, and `term`, the kind of the terminal that is standard input, or null. Without words it is a Python to
type into. With `tests` it has the environment of the application's own tests, which knows of no services. `held` is a file that is
there while no command may begin. Exit status 127 for a command that names nothing, 1 for one that may not begin, otherwise the
command's own.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import termios
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from buildless.command import LIBRARY, MODULE, Command, Job, argv, parse_command, unstarted
from buildless.command import start as start_directory
from buildless.environ import with_libraries
from buildless.errors import CommandError
from buildless.lifecycle import HELD
from buildless.package import AppPackage

NOT_FOUND = 127
CONSOLE = "buildless.console"


def main() -> None:
    told = json.loads(sys.argv[2])
    if "held" in told and os.path.exists(told["held"]):
        sys.exit(f"gitdeploy: {HELD}")
    if told["term"] is not None:
        take_terminal()
    start(Path(sys.argv[1]), told)


def job() -> None:
    """Become a job of app.yaml: ``RELEASE_DIR NAME``."""
    release, name = Path(sys.argv[1]), sys.argv[2]
    found = AppPackage(release / "tree").description.cron.get(name)
    if found is None:
        sys.exit(f"gitdeploy: there is no job {name} in app.yaml; deploy the release again")
    if not alone(release, name):
        sys.stderr.write(f"gitdeploy: {name} still runs, since before {release.name} was live: not begun again now\n")
        return
    start(release, {"words": list(found.run), "term": None})


def alone(release: Path, name: str) -> bool:
    """Whether no process of the job `name` runs, of whichever release. One does from here on, until it and its children have ended.

    systemd starts no second one of the same release; what it knows nothing of is told by a lock, flock(2), in the app's own
    directory for logs: without that one no process of it starts, and who makes room in the cache does not delete it.
    """
    own = json.loads((release / "settings").read_bytes())["environ"]["APP_LOGS"]
    lock = os.open(os.path.join(own, f".job-{name}"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Start(NamedTuple):
    """How a process begins."""

    argv: List[str]
    environ: Dict[str, str]
    directory: Path


def start(release: Path, told: Dict[str, Any]) -> None:
    """Become the command that was told of."""
    try:
        become(command(release, told))
    except CommandError as error:
        sys.stderr.write(f"gitdeploy: {error}\n")
        sys.exit(NOT_FOUND)


def command(release: Path, told: Dict[str, Any]) -> Start:
    """What becomes the command that was told of, in the environment of the release's processes. Raises CommandError."""
    settings = json.loads((release / "settings").read_bytes())
    package = AppPackage(release / "tree", [str(path) for path in settings.get("libraries", ())])
    terminal = {"TERM": told["term"]} if told["term"] is not None else {}
    own = settings["test_environ" if told.get("tests") else "environ"]
    variables, words = with_libraries({**own, **terminal}, package, LIBRARY), told["words"]
    found = parse_command(words, package.directory, variables["PATH"]) if words else Command(MODULE, CONSOLE)
    job = Job(package.directory, package.libraries, found, {})
    return Start(argv(job), variables, start_directory(job))


def take_terminal() -> None:
    """Make standard input the terminal that Ctrl-C comes from, where nobody has done so (systemd does)."""
    if os.getsid(0) == os.getpid() and not controls():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def controls() -> bool:
    """Whether there is such a terminal already."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def become(start: Start) -> None:
    os.chdir(start.directory)
    try:
        os.execve(start.argv[0], start.argv, start.environ)  # noqa: S606
    except OSError as error:
        name = os.path.relpath(start.argv[0]) if start.argv[0].startswith(os.getcwd() + "/") else start.argv[0]
        sys.stderr.write(f"gitdeploy: {name} cannot be started: {unstarted(error)}\n")
        sys.exit(NOT_FOUND)


if __name__ == "__main__":
    main()
