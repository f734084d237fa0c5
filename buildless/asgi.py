"""What keeps one bad request from taking an ASGI application down: the limits of `buildless.failsafe`, for uvicorn's workers.

A coroutine that takes too long can be cancelled, so it costs an answer and not the process. One that never gives way to others
holds up the heartbeat, which is sent from the same loop: the master ends the process, and faulthandler says where it was.
"""

from __future__ import annotations

import asyncio
import faulthandler
import math
import os
import signal
import threading
import time
from typing import Any, Awaitable, Callable, Dict, Optional

from buildless.failsafe import GRACEFUL, age, beat, die_with_parent, limit_data, resident, say
from buildless.limits import WebLimits
from buildless.location import tell_asgi
from buildless.sleep import Sleep

AsgiApp = Callable[[Dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]
Send = Callable[..., Any]
TICK = 0.5
RESTART = 1012  # why a web socket is closed (RFC 6455, 7.4)


class AsyncFailsafe:
    """The hooks for one gunicorn with uvicorn's workers; as `failsafe.Failsafe`, made in the master and copied by the fork."""

    def __init__(self, limits: WebLimits, sleep: Optional[Sleep] = None) -> None:
        self.limits, self.sleep = limits, sleep
        self.counts_from = time.monotonic() + limits.boot
        self.present = 0
        self.sockets: Dict[Send, asyncio.AbstractEventLoop] = {}  # of web sockets that the application has accepted
        self.loaded = self.ending = self.was_live = False
        self.recycle_above = limits.recycle

    def settings(self) -> Dict[str, Any]:
        """What gunicorn has to be told. `timeout` is the longest that the loop may be held, in seconds."""
        limits = self.limits
        return {
            "worker_class": "uvicorn.workers.UvicornWorker",
            "workers": limits.processes,
            "keepalive": 0,
            "timeout": max(2, math.ceil(limits.request + limits.stop)),
            "graceful_timeout": GRACEFUL,
            "max_requests": limits.max_requests,
            "max_requests_jitter": limits.max_requests_jitter,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 - a heartbeat must not wait for a disk
            "post_fork": self.post_fork,
        }

    # The hooks.

    def post_fork(self, arbiter: Any, worker: Any) -> None:
        die_with_parent(arbiter.pid)
        limit_data(self.limits.memory)
        self.counts_from = time.monotonic() + self.limits.boot
        threading.Thread(target=self.watch, args=(worker,), name="failsafe", daemon=True).start()

    def post_worker_init(self, worker: Any) -> None:
        """The application is imported; it starts (ASGI's lifespan) after this."""
        faulthandler.enable()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.recycle_above = max(self.limits.recycle, resident() * 5 // 4)
        self.loaded = True

    def watch(self, worker: Any) -> None:
        """The heartbeat while it is imported; then whether the process has grown, or may sleep."""
        while True:
            time.sleep(TICK)
            if not self.loaded:
                beat(worker)
                if time.monotonic() > self.counts_from:
                    say(f"the application did not load within {self.limits.boot:g} s")
                    os._exit(1)
                continue
            if not self.ending and resident() > self.recycle_above:
                self.ending = True
                say(f"process {os.getpid()} has grown to {resident() // 1_000_000} MB and is replaced")
                os.kill(os.getpid(), signal.SIGTERM)
            if self.sleep is not None:
                if self.is_over(self.sleep):
                    self.close_sockets()
                if self.present:
                    self.sleep.touch()
                if self.sleep.is_due():
                    os.kill(os.getppid(), signal.SIGTERM)
                    return

    def is_over(self, sleep: Sleep) -> bool:
        """Whether the release was live and is not any more: web sockets are to come back to the one that is (see `relay`)."""
        is_live, was_live = sleep.is_live(), self.was_live
        self.was_live = was_live or is_live
        return was_live and not is_live

    def close_sockets(self) -> None:
        """Close all web sockets, with the word for a server that is started anew; the application is told, as if they had left."""
        for send, loop in list(self.sockets.items()):
            asyncio.run_coroutine_threadsafe(send({"type": "websocket.close", "code": RESTART}), loop)

    # What goes around the application.

    def wrap(self, app: AsgiApp) -> AsgiApp:
        """The same application; a request that has waited, or takes, too long is answered 503."""

        async def call(scope: Dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
            if self.sleep is not None:
                self.sleep.touch()
            if scope["type"] == "http":
                self.present += 1
                try:
                    await self.http(app, tell_asgi(scope), receive, send)
                finally:
                    self.present -= 1
            elif scope["type"] == "websocket":
                await self.websocket(app, tell_asgi(scope), receive, send)
            else:
                await app(scope, receive, send)

        return call

    async def websocket(self, app: AsgiApp, scope: Dict[str, Any], receive: Callable[..., Any], send: Send) -> None:
        async def answer(message: Dict[str, Any]) -> None:
            await send(message)
            if message["type"] == "websocket.accept":
                self.sockets[send] = asyncio.get_running_loop()

        try:
            await app(scope, receive, answer)
        finally:
            self.sockets.pop(send, None)

    async def http(
        self, app: AsgiApp, scope: Dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        headers = dict(scope.get("headers", ()))
        waited = age(headers.get(b"x-request-start", b"").decode("latin-1"), time.time())
        if waited is not None and waited > self.limits.shed:
            await busy(send)
            return
        begun = asyncio.Event()

        async def answer(message: Dict[str, Any]) -> None:
            begun.set()
            await send(message)

        work = asyncio.ensure_future(app(scope, receive, answer))
        beginning = asyncio.ensure_future(begun.wait())
        try:
            limit = max(self.limits.request, self.counts_from - time.monotonic())
            await asyncio.wait({work, beginning}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not begun.is_set():
                method, path = scope.get("method", ""), scope.get("path", "")
                say(f"{method} {path!r} took longer than {limit:.1f} s and is cancelled; it is at\n{where(work)}")
                await busy(send)
                return
            await work
        finally:
            beginning.cancel()
            if not work.done():
                work.cancel()


async def busy(send: Callable[..., Any]) -> None:
    body = b"The application is busy. Please try again in a moment.\n"
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": 503, "headers": head})
    await send({"type": "http.response.body", "body": body})


def where(task: asyncio.Future[Any]) -> str:
    """Where a task waits, as in a traceback."""
    frames = task.get_stack() if isinstance(task, asyncio.Task) else []
    return "".join(
        f'  File "{one.f_code.co_filename}", line {one.f_lineno}, in {one.f_code.co_name}\n' for one in frames
    )
