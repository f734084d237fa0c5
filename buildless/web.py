"""``python3 -m buildless.web RELEASE_DIR``: runs the web process type of a release, on nodes and in development alike.

RELEASE_DIR holds `tree`, a symlink to the version's directory, and `settings`, JSON: app, environment, release, version, `environ`
(every variable that the application sees) and `web` (WebLimits). The listening socket is inherited, and stays the parent's.
An application that is a command is the work of `buildless.process`, PHP files that of `buildless.php`.
`libraries`, if there, are directories for sys.path; `around` are functions from one WSGI application to another.
systemd is told when every process has loaded the application (NOTIFY_SOCKET).
Exit status: 0 after SIGTERM (what was accepted is finished, for at most 30 s), which it sends to itself when nobody asked for
long (`sleep`); 2 for a release that cannot be run, 4 when the application does not load. SIGINT and SIGQUIT end it at once.
There is no reload: a change is a new release.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import mmap
import os
import signal
import sys
import time
from contextlib import contextmanager
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Union

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from buildless import php, process
from buildless.asgi import AsyncFailsafe
from buildless.errors import BuildlessError, LoadError
from buildless.explanation import explain
from buildless.failsafe import Failsafe, say
from buildless.notify import Notify
from buildless.package import AppPackage
from buildless.processes import WEB
from buildless.release import Release, enter, read_release

LISTEN_FD = 3  # sd_listen_fds(3): where systemd passes a socket, and where gunicorn looks for one that is not its own
NOISE = (
    "Worker (pid:%s) exited with code %s.", "Worker (pid:%s) exited with code %s", "Shutting down: %s", "Reason: %s"
)  # fmt: skip


LOADED, TOLD = 0, 1
"""What the processes of a web server share, a byte each: whether any has loaded the application, whether all is said of why not."""


class Boot:
    """What the processes of one web server tell each other, and whoever waits for them, while they load the application.

    `compiled` says whether there is bytecode of the application. Who is at a byte of `shared` locks it; a lock is a process' own
    (fcntl(2)), so that whoever dies lets another go on.
    """

    def __init__(self, ready_fd: Optional[int], notify: Notify, compiled: bool = True) -> None:
        self.ready_fd, self.notify, self.compiled = ready_fd, notify, compiled
        self.file = os.memfd_create("boot")
        os.ftruncate(self.file, 2)
        self.shared = mmap.mmap(self.file, 2)
        if ready_fd is not None:
            os.set_blocking(ready_fd, False)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let one process load the application before the others where nothing of it is compiled yet, else each compiles it all."""
        if self.compiled or self.loaded:
            yield
            return
        if not self.take(LOADED):
            fcntl.lockf(self.file, fcntl.LOCK_SH, 1, LOADED)
        try:
            yield
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN, 1, LOADED)

    @property
    def loaded(self) -> bool:
        """Whether any process has loaded the application."""
        return bool(self.shared[LOADED])

    def take(self, byte: int) -> bool:
        """Lock a byte, unless another process has it; returns whether it is ours."""
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except BlockingIOError:
            return False
        return True

    def tell(self, report: str) -> None:
        """Say why no process loads the application, if no other one says it, or has said it."""
        if self.take(TOLD) and not self.shared[TOLD]:
            say(report)
            self.shared[TOLD] = 1

    @property
    def over(self) -> bool:
        """Whether no process has loaded the application, and all is said of why."""
        return bool(self.shared[TOLD]) and not self.loaded

    def ready(self) -> None:
        """Say that this process has loaded the application. It is all the same to us whether anybody still listens."""
        self.shared[LOADED] = 1
        self.notify.loaded()
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
        if self.loaded:
            say(report)
            time.sleep(1)
            os._exit(1)
        self.tell(report)
        os._exit(Arbiter.APP_LOAD_ERROR)


class Master(Arbiter):  # type: ignore[misc]
    """gunicorn's master process, to which no exit status means anything: an application may have gunicorn's own, 3 and 4, too."""

    WORKER_BOOT_ERROR = APP_LOAD_ERROR = -1

    def manage_workers(self) -> None:
        """Start processes, as long as one may load the application.

        The main loop calls it. In `child_exit` nothing can be raised: gunicorn 23 and older call that in a handler of signals, and
        where that interrupts a call of Python's own, such as those after a fork, nobody gets it.
        """
        if self.app.boot.over:
            raise HaltServer("the application does not load", Arbiter.APP_LOAD_ERROR)
        super().manage_workers()


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, embedded as its documentation says ('Custom Application'): no configuration file, no GUNICORN_CMD_ARGS."""

    def __init__(
        self, package: AppPackage, failsafe: Union[Failsafe, AsyncFailsafe], boot: Boot, around: Sequence[str] = ()
    ) -> None:
        self.package, self.failsafe, self.boot, self.around = package, failsafe, boot, around
        super().__init__()

    def run(self) -> None:
        Master(self).run()

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
            with self.boot.turn():
                return self.failsafe.wrap(self.application())
        except LoadError as error:
            self.boot.failed(explain(error, self.package.directory))

    def application(self) -> Any:
        self.package.activate()
        if isinstance(self.failsafe, AsyncFailsafe):
            return self.package.asgi_app
        app = self.package.wsgi_app
        for name in self.around:
            app = self.package.load_object(name)(app)
        return app

    def child_exit(self, arbiter: Any, worker: Any) -> None:
        """A process ended. Where none has loaded the application others would not either; whoever says why is waited for."""
        if arbiter.LISTENERS and not self.boot.loaded:  # there are none while it stops
            self.boot.tell(
                "a process died while it loaded the application; look for what ends or crashes Python when it is imported"
            )

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


def main(argv: Optional[List[str]] = None, own_ports: bool = False) -> None:
    """`own_ports` as for `buildless.process`: this is a node, where nginx is in front."""
    parser = argparse.ArgumentParser(prog="python3 -m buildless.web", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("release", metavar="RELEASE_DIR", type=Path)
    parser.add_argument("--fd", type=int, default=LISTEN_FD, help="the listening socket (default: %(default)s)")
    parser.add_argument(
        "--ready-fd", type=int, help="a pipe; each process writes 'ready PID' when it has loaded the application"
    )
    arguments = parser.parse_args(argv)
    manager = os.environ.get("NOTIFY_SOCKET")  # the application does not see it
    try:
        release = read_release(arguments.release)
        platform = release.package.description.platform
        if "command" in platform or ("php" in platform and not own_ports):
            enter(release)
            command = php.server(release) if "php" in platform else release.process(WEB)
            process.listen(release, WEB, command, manager, arguments.fd, arguments.ready_fd, own_ports)
        if "php" in platform:
            php.fpm(release, arguments.fd, manager)
        if not {"wsgi", "asgi"} & set(platform):
            raise BuildlessError(f"a release whose platform is {', '.join(platform)} has no web process to run")
    except BuildlessError as error:
        parser.exit(2, f"{error}\n")
    enter(release)
    run(release, manager, arguments)


def run(release: Release, manager: Optional[str], arguments: argparse.Namespace) -> None:
    """Run the web server until it ends."""
    ready = take_descriptors(arguments.fd, arguments.ready_fd)
    bytecode = Path(cache_from_source(str(release.package.directory / "app.py"))).parent
    boot = Boot(ready, Notify(manager, release.limits.processes), bytecode.is_dir())
    logging.getLogger("gunicorn.error").addFilter(quiet)
    kind = AsyncFailsafe if "asgi" in release.package.description.platform else Failsafe
    if kind is AsyncFailsafe and find_spec("uvicorn") is None:
        sys.stderr.write(
            "uvicorn is not installed, which runs ASGI applications; run: apt-get install python3-uvicorn\n"
        )
        sys.exit(2)
    Server(release.package, kind(release.limits, release.sleep()), boot, release.around).run()


if __name__ == "__main__":
    main()
