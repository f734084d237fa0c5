"""What keeps one bad request from taking a web process type down: limits for time and memory, held from inside gunicorn's workers.

Only gunicorn's documented parts are used: server hooks, `worker.alive`, `worker.notify()` and the listeners in `worker.sockets`.

A request that is in the application for too long (see `stopwatch`) costs its process: a thread cannot be ended from outside.
The process stops accepting, its other requests get some seconds, and gunicorn's master replaces it. When a request holds the
GIL, no thread of the process can tell; then the heartbeat, which is sent from the same thread, ends too, the master sends
SIGABRT, and faulthandler says where it was without needing the GIL.
"""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import math
import os
import re
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any, Callable, Dict, Iterable, List, Optional, Set

from buildless import stopwatch
from buildless.door import PAUSE, Door, hear, some
from buildless.limits import WebLimits
from buildless.location import tell_wsgi
from buildless.sleep import Sleep
from buildless.stopwatch import Environ, Ledger, Stopwatch, WsgiApp

GRACEFUL = 30  # seconds that a process which ends gets to finish what it accepted; gunicorn's own default
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Failsafe:
    """The hooks for one gunicorn. Made in the master; each worker goes on with its own copy after the fork."""

    def __init__(self, limits: WebLimits, sleep: Optional[Sleep] = None) -> None:
        self.limits, self.sleep = limits, sleep
        self.ledger = Ledger(time.monotonic() + limits.boot)
        self.present: Set[int] = set()  # threads between pre_request and post_request
        self.doors: List[Door] = []
        self.leaving = threading.Event()
        self.requests, self.most = itertools.count(1), 0
        self.loaded = False
        self.recycle_above = limits.recycle
        self.shed = 0

    def settings(self) -> Dict[str, Any]:
        """What gunicorn has to be told.

        How many connections a process accepts, and after how many requests it is replaced, are not gunicorn's matter but the
        door's: a process accepts no more than its threads can serve, so that the rest waits in the queue of the socket, where all
        processes take from, and not behind a wedged thread. No keep-alive: such a connection would hold a thread's place. `timeout`
        is the longest that the GIL may be held, in seconds; the master looks once a second.
        """
        limits = self.limits
        return {
            "worker_class": "gthread",
            "workers": limits.processes,
            "threads": limits.threads,
            "keepalive": 0,
            "timeout": max(2, math.ceil(limits.request + limits.stop)),
            "graceful_timeout": GRACEFUL,
            "max_requests": 0,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 - a heartbeat must not wait for a disk
            "post_fork": self.post_fork,
            "pre_request": self.pre_request,
            "post_request": self.post_request,
        }

    # The hooks.

    def post_fork(self, arbiter: Any, worker: Any) -> None:
        """First thing in a new process, before it loads the application."""
        die_with_parent(arbiter.pid)
        limit_data(self.limits.memory)
        self.ledger = Ledger(time.monotonic() + self.limits.boot)
        self.doors = [Door(listener, self.limits.threads) for listener in worker.sockets]
        worker.sockets = list(self.doors)
        self.most = some(self.limits.max_requests, self.limits.max_requests_jitter)
        threading.Thread(target=self.watch, args=(worker,), name="failsafe", daemon=True).start()

    def post_worker_init(self, worker: Any) -> None:
        """The application is loaded. One that is large from the start is replaced when it has grown by a quarter, not at once."""
        faulthandler.enable()  # after gunicorn installed its own handler for SIGABRT
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.recycle_above = max(self.limits.recycle, resident() * 5 // 4)
        self.loaded = True

    def pre_request(self, worker: Any, req: Any) -> None:
        self.present.add(threading.get_ident())
        if self.sleep is not None:
            self.sleep.touch()
        if next(self.requests) == self.most:
            self.stop_accepting()

    def post_request(self, worker: Any, req: Any, environ: Any, resp: Any) -> None:
        if resp is not None and resp.headers_sent:
            hang_up(resp.sock)
        self.present.discard(threading.get_ident())
        if resp is not None:
            for door in self.doors:
                door.leave(resp.sock)
        size = resident()
        if size > self.recycle_above and not self.leaving.is_set():
            say(f"process {os.getpid()} has grown to {size // 1_000_000} MB and is replaced")
            self.stop_accepting()

    # What goes around the application.

    def wrap(self, app: WsgiApp) -> WsgiApp:
        """The same application, its requests timed, and those that waited too long (X-Request-Start) answered 503 instead."""
        inner = stopwatch.timed(app, self.ledger)

        def call(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            tell_wsgi(environ)
            waited = age(environ.get("HTTP_X_REQUEST_START"), time.time())
            if waited is None or waited <= self.limits.shed:
                return inner(environ, start_response)
            self.shed += 1
            body = b"The application is busy. Please try again in a moment.\n"
            start_response(
                "503 Service Unavailable",
                [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Retry-After", "5")],
            )
            return [body]

        return call

    # The thread that watches.

    def watch(self, worker: Any) -> None:
        """Look, ten times in the time that a request may take, and end the process when it has to be.

        Should this thread fail (no memory, say), then its heartbeats end, and the master ends the process.
        """
        tick = min(self.limits.request / 10, 0.5)
        told = 0
        deadline = self.ledger.counts_from
        while True:
            if worker.alive and self.leaving.wait(tick):
                self.leave(worker)
            elif not worker.alive:
                time.sleep(tick)
            beat(worker)
            if not self.loaded and time.monotonic() > deadline:
                where = stack_of(threading.main_thread().ident)
                end(f"the application did not load within {self.limits.boot:g} s; it is at\n{where}")
            overdue = self.ledger.overdue(self.limits.request)
            if overdue:
                self.retire(worker, overdue)
            if self.sleep is not None and self.may_sleep(self.sleep):
                os.kill(os.getppid(), signal.SIGTERM)
                return
            if self.shed > told:
                say(
                    f"requests answered 503 because they had waited longer than {self.limits.shed:g} s: {self.shed - told}"
                )
                told = self.shed

    def may_sleep(self, sleep: Sleep) -> bool:
        """Whether nobody has asked this release for long. A request that still runs counts as one that comes now."""
        if self.present:
            sleep.touch()
        return self.loaded and sleep.is_due()

    def stop_accepting(self) -> None:
        """What waits outside is for the other processes; the thread that watches sees to the rest."""
        for door in self.doors:
            door.shut()
        self.leaving.set()

    def leave(self, worker: Any) -> None:
        """Hear who has come in already, and have gunicorn end the process then."""
        hear(self.doors, lambda: len(self.present), time.monotonic() + self.limits.stop, lambda: beat(worker))
        worker.alive = False

    def retire(self, worker: Any, overdue: List[Stopwatch]) -> None:
        """Stop accepting, say which requests wedged the process and where, give the others their time, and end it."""
        deadline = time.monotonic() + self.limits.stop
        self.stop_accepting()
        for watch in overdue:
            say(
                f"{watch.request} took longer than {self.limits.request:g} s ({watch.seconds():.1f} s); "
                f"process {os.getpid()} is replaced. The request is at\n{stack_of(watch.thread)}"
            )
        wedged = {watch.thread for watch in overdue}
        hear(self.doors, lambda: len(self.present), deadline, lambda: beat(worker))
        while time.monotonic() < deadline and not self.present <= wedged:
            beat(worker)
            time.sleep(PAUSE)
            wedged |= {watch.thread for watch in self.ledger.overdue(self.limits.request)}
        end(None)


def age(value: Optional[str], now: float) -> Optional[float]:
    """Seconds since `value`, an X-Request-Start; None when there is none that can be read.

    nginx writes seconds with a fraction (``t=${msec}``), Heroku's router milliseconds, others microseconds.

    >>> age("t=1700000000.123", 1700000002.123), age("1700000000123", 1700000002.123), age("t=1700000000123456", 1700000000.123456)
    (2.0, 2.0, 0.0)
    >>> age("t=1800000000.000", 1700000000.0), age(None, 0), age("yesterday", 0)
    (0.0, None, None)
    """
    match = re.fullmatch(r"(?:t=)?([0-9]{10})(?:\.([0-9]{1,9})|([0-9]{3}|[0-9]{6}))?", value or "", re.ASCII)
    if match is None:
        return None
    seconds, fraction, smaller = match.groups()
    return max(0.0, now - float(f"{seconds}.{fraction or smaller or '0'}"))


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Have the kernel send this process `signum` when `parent` ends (prctl(2)), or end now if it has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
    if os.getppid() != parent:
        os._exit(1)


def limit_data(limit: int) -> None:
    """Set RLIMIT_DATA of this process, in bytes, but not above what it may have."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def resident() -> int:
    """Bytes of this process that are in memory now (proc(5), statm)."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def hang_up(sock: socket.socket) -> None:
    """End a connection whose answer is sent; it is not kept alive.

    Newer gunicorns wait here for the client to close, up to 2 s, in the thread that accepts connections. What has come already
    is read first, since the client would otherwise see a reset instead of an end (unix(7)).
    """
    try:
        sock.setblocking(False)
        for _ in range(16):
            if not sock.recv(65536):
                break
    except OSError:
        pass
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the client was quicker


def beat(worker: Any) -> None:
    """Tell the master that this process lives. While gunicorn ends it there is no longer anything to tell it with."""
    try:
        worker.notify()
    except (OSError, ValueError):
        pass


def stack_of(thread: Optional[int]) -> str:
    """Where `thread` is, as in a traceback, from the application's own first frame on."""
    frame = sys._current_frames().get(thread or 0)
    stack = traceback.extract_stack(frame) if frame is not None else []
    ours = [number for number, entry in enumerate(stack) if entry.filename == stopwatch.__file__]
    return "".join(traceback.format_list(stack[ours[-1] + 1 :] if ours else list(stack)))


def say(text: str) -> None:
    """Write a line to standard error without Python's buffers, whose lock a wedged thread may hold."""
    os.write(2, f"{text.rstrip()}\n".encode("utf-8", "backslashreplace"))


def end(text: Optional[str]) -> None:
    """End this process at once; a wedged thread would keep sys.exit waiting."""
    try:
        if text:
            say(text)
    finally:
        os._exit(1)
