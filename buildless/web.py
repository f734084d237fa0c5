"""``python3 -m buildless.web RELEASE_DIR``: runs the web process type of a release, on nodes and in development alike.

RELEASE_DIR holds `tree`, a symlink to the version's directory, and `settings`, JSON: app, environment, release, version, `environ`
(every variable that the application sees) and `web` (WebLimits). The listening socket is inherited, and stays the parent's.
Exit status: 0 after SIGTERM (what was accepted is finished, for at most 30 s), 2 for a release that cannot be run, 4 when the
application does not load. SIGINT and SIGQUIT end it at once. There is no reload: a change is a new release.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import mmap
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from buildless.errors import BuildlessError, LoadError
from buildless.failsafe import Failsafe, say
from buildless.limits import WebLimits
from buildless.package import AppPackage, explain

LISTEN_FD = 3  # sd_listen_fds(3): where systemd passes a socket, and where gunicorn looks for one that is not its own
NOISE = ("Worker (pid:%s) exited with code %s.", "Shutting down: %s", "Reason: %s")


@dataclass(frozen=True)
class Release:
    """What is in a release's directory."""

    package: AppPackage
    environ: Dict[str, str]
    limits: WebLimits


def read_release(directory: Path) -> Release:
    """Read a release, following its links once, here. Raises BuildlessError for one that has nothing to run."""
    try:
        settings = json.loads((directory / "settings").read_bytes())
        environ, limits = dict(settings["environ"]), WebLimits(**settings["web"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildlessError(
            f"{directory / 'settings'} cannot be used ({error!r}): deploy the release again"
        ) from error
    package = AppPackage(directory / "tree")
    if "wsgi" not in package.description.platform:
        raise BuildlessError(
            f"a release whose platform is {', '.join(package.description.platform)} has no web process to run"
        )
    return Release(package, environ, limits)


class Boot:
    """What the processes of one web server tell each other, and whoever waits for them, while they load the application."""

    def __init__(self, ready_fd: Optional[int]) -> None:
        self.ready_fd = ready_fd
        self.loaded = mmap.mmap(-1, 1)  # shared by all processes: whether any has loaded it
        self.token, write = os.pipe()  # one byte: whoever reads it reports the failure
        os.write(write, b"1")
        os.close(write)
        if ready_fd is not None:
            os.set_blocking(ready_fd, False)

    def ready(self) -> None:
        """Say that this process has loaded the application. It is all the same to us whether anybody still listens."""
        self.loaded[0] = 1
        if self.ready_fd is not None:
            try:
                os.write(self.ready_fd, f"ready {os.getpid()}\n".encode())
            except OSError:
                pass
            os.close(self.ready_fd)

    def failed(self, report: str) -> None:
        """End this process, which could not load the application.

        The first one of a web server that never ran ends all of it, and only that one reports: all fail for the same reason.
        Where others run, they go on, and this one is tried again.
        """
        if self.loaded[0]:
            say(report)
            time.sleep(1)
            os._exit(1)
        if not os.read(self.token, 1):
            os._exit(0)
        say(report)
        os._exit(Arbiter.APP_LOAD_ERROR)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, embedded as its documentation says ('Custom Application'): no configuration file, no GUNICORN_CMD_ARGS."""

    def __init__(self, package: AppPackage, failsafe: Failsafe, boot: Boot) -> None:
        self.package, self.failsafe, self.boot = package, failsafe, boot
        self.halted = False
        super().__init__()

    def load_config(self) -> None:
        settings = {
            **self.failsafe.settings(),
            "when_ready": self.when_ready,
            "post_worker_init": self.post_worker_init,
            "child_exit": self.child_exit,
            "loglevel": "warning",
            "forwarded_allow_ips": "*",  # only the front reaches the socket
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # the control socket is newer than Debian's gunicorn
                self.cfg.set(name, value)

    def when_ready(self, arbiter: Any) -> None:
        """The master is about to start the workers. A reload, or a second master, would mix what a release keeps apart."""
        for signum in (signal.SIGHUP, signal.SIGUSR2):
            signal.signal(signum, signal.SIG_IGN)

    def load(self) -> Any:
        """The application, in a worker. Whatever it raises is reported without the frames of gunicorn."""
        try:
            self.package.activate()
            return self.failsafe.wrap(self.package.wsgi_app)
        except LoadError as error:
            self.boot.failed(explain(error, self.package.directory))

    def child_exit(self, arbiter: Any, worker: Any) -> None:
        """A process ended. One that dies hard while it loads the application would only do so again."""
        unreported = select.select([self.boot.token], [], [], 0)[0]  # else whoever took the token says why
        if unreported and not self.boot.loaded[0] and not self.halted and arbiter.LISTENERS:  # empty while stopping
            self.halted = True
            say("a process died while it loaded the application")
            raise HaltServer("the application does not load", Arbiter.APP_LOAD_ERROR)

    def post_worker_init(self, worker: Any) -> None:
        self.failsafe.post_worker_init(worker)
        self.boot.ready()


def quiet(record: logging.LogRecord) -> bool:
    """Whether gunicorn's line is worth reading after what we have said ourselves (exit statuses 1 and 4 are ours)."""
    args = record.args if isinstance(record.args, tuple) else ()
    return record.msg not in NOISE or (len(args) == 2 and args[1] not in (1, Arbiter.APP_LOAD_ERROR))


def take_descriptors(listener: int, ready: Optional[int]) -> Optional[int]:
    """Put the listening socket where systemd would have put it, as gunicorn then leaves its file alone when it stops.

    Returns where the pipe is now; programs that the application starts do not inherit it.
    """
    if ready is not None:
        ready, old = fcntl.fcntl(ready, fcntl.F_DUPFD_CLOEXEC, LISTEN_FD + 1), ready
        os.close(old)
    if listener != LISTEN_FD:
        os.dup2(listener, LISTEN_FD)
        os.close(listener)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    return ready


def enter(release: Release) -> None:
    """Make this process the application's: its environment, its directory, and nothing of ours in front of its own modules."""
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]  # python -m puts the current directory there
    os.chdir(release.package.directory)
    os.environ.clear()
    os.environ.update(release.environ)
    time.tzset()
    sys.pycache_prefix = release.environ.get("PYTHONPYCACHEPREFIX")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def main(argv: Optional[List[str]] = None) -> None:
    parser = argparse.ArgumentParser(prog="python3 -m buildless.web", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("release", metavar="RELEASE_DIR", type=Path)
    parser.add_argument("--fd", type=int, default=LISTEN_FD, help="the listening socket (default: %(default)s)")
    parser.add_argument(
        "--ready-fd", type=int, help="a pipe; each process writes 'ready PID' when it has loaded the application"
    )
    arguments = parser.parse_args(argv)
    try:
        release = read_release(arguments.release)
    except BuildlessError as error:
        parser.exit(2, f"{error}\n")
    enter(release)
    boot = Boot(take_descriptors(arguments.fd, arguments.ready_fd))
    logging.getLogger("gunicorn.error").addFilter(quiet)
    Server(release.package, Failsafe(release.limits), boot).run()


if __name__ == "__main__":
    main()
