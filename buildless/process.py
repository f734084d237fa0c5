"""``python3 -m buildless.process RELEASE_DIR NAME``: runs a process type of a release that is a command.

RELEASE_DIR is as `buildless.web` takes it. A worker becomes the command itself; ``NAME.2`` is the second of its kind. One that
answers requests gets a relay (`buildless.relay`): the listening socket is inherited, as for `buildless.web`, and so are the ways to
say that it is ready. Exit status: 0 after SIGTERM, 2 for a release that cannot be run, 4 when the command does not start to listen.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from buildless import command
from buildless.command import LIBRARY
from buildless.environ import with_libraries
from buildless.errors import BuildlessError
from buildless.notify import send
from buildless.package import AppPackage
from buildless.processes import Process
from buildless.release import Release, enter, read_release

HASTY, LONGEST = 10.0, 60.0
"""Seconds: a worker that ended sooner after its start waits before the next one, each time twice as long, so long at most."""


def environ(release: Release) -> Dict[str, str]:
    """The environment of a command: the application's, and how Python programs find its libraries."""
    return with_libraries(release.environ, release.package, LIBRARY)


def argv(words: Sequence[str], package: AppPackage, path: str, python: str) -> Tuple[str, ...]:
    """The command line of a command whose first word is a program of the tree, ``module:function``, or one on `path`.

    Raises BuildlessError.
    """
    found = command.parse_command(words, package.directory, path)
    if found.form == command.URL:
        raise BuildlessError(f"{words[0]} is a URL path, which no process can be; write a program")
    if found.form == command.SCRIPT:
        return (python, found.name, *found.arguments)
    return tuple(command.argv(command.Job(package.directory, package.libraries, found, {}, python)))


def work(release: Release, name: str, process: Process, manager: Optional[str]) -> None:
    """Become a worker. One that keeps ending waits before: whatever it needs may be back by then."""
    variables = environ(release)
    line = argv(process.run, release.package, variables["PATH"], sys.executable)
    if manager is not None:
        delay = pause(Path(variables["TMPDIR"]) / f".started-{name}", time.time())
        time.sleep(delay)
        send(manager, b"READY=1")
    os.execve(line[0], line, variables)  # noqa: S606 - that is the point


def pause(file: Path, now: float) -> float:
    """Seconds to wait before a worker is started once more; `file` keeps when that was, and how many of these ended at once.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "started"
    >>> [pause(file, now) for now in (100, 101, 102, 105, 200)]
    [0.0, 0.0, 2.0, 4.0, 0.0]
    """
    try:
        before, times = map(float, file.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        before, times = 0.0, 0.0
    times = times + 1 if 0 <= now - before < HASTY else 0.0
    delay = min(LONGEST, 2.0 ** (times - 1)) if times > 1 else 0.0
    file.write_text(f"{now + delay} {times}", encoding="ascii")
    return delay


def run(
    release: Release, name: str, manager: Optional[str], listener: int, ready: Optional[int], own_ports: bool
) -> None:
    """Run the process type until it ends. Raises BuildlessError."""
    kind = name.partition(".")[0]
    process = release.process(kind)
    if process.path is None:
        return work(release, name, process, manager)
    return listen(release, kind, process, manager, listener, ready, own_ports)


def listen(
    release: Release,
    kind: str,
    process: Process,
    manager: Optional[str],
    listener: int,
    ready: Optional[int],
    own_ports: bool,
) -> None:
    """Run a process that answers requests, behind a relay, until it ends. Raises BuildlessError."""
    from buildless.relay import Relay, Told, serve

    def line(variables: Mapping[str, str]) -> Tuple[str, ...]:
        return argv(process.run, release.package, variables["PATH"], sys.executable)

    told = Told(environ(release), line, own_ports)
    return serve(Relay(kind, told, release.sleep(kind), listener, ready, manager))


def main(argv: Optional[List[str]] = None, own_ports: bool = False) -> None:
    """`own_ports` says that each user has ports of its own here, as on nodes."""
    parser = argparse.ArgumentParser(
        prog="python3 -m buildless.process", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("release", metavar="RELEASE_DIR", type=Path)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--fd", type=int, default=3, help="the listening socket (default: %(default)s)")
    parser.add_argument("--ready-fd", type=int, help="a pipe; it gets 'ready PID' when the command listens")
    arguments = parser.parse_args(argv)
    manager = os.environ.get("NOTIFY_SOCKET")  # the application does not see it
    try:
        release = read_release(arguments.release)
        enter(release)
        run(release, arguments.name, manager, arguments.fd, arguments.ready_fd, own_ports)
    except (BuildlessError, OSError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
