"""How long the application, and not its clients, has been busy with each request: what a limit for requests has to measure."""

from __future__ import annotations

import os
import stat
import threading
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple
from urllib.parse import quote

Environ = Dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Ledger:
    """The requests that are in the application, in one process.

    Nothing counts before `counts_from` (in seconds of `clock`), and that moves to now with the first answer, because the first
    requests of a process are the ones that import, compile and connect.
    """

    def __init__(self, counts_from: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts_from, self.clock = counts_from, clock
        self.running: Dict[int, Stopwatch] = {}

    def enter(self, request: str) -> Stopwatch:
        """A request goes into the application, in this thread."""
        watch = Stopwatch(self, request)
        self.running[id(watch)] = watch
        return watch

    def leave(self, watch: Stopwatch) -> None:
        """The application is done with it; safe to repeat."""
        self.running.pop(id(watch), None)
        self.answered()

    def answered(self) -> None:
        self.counts_from = min(self.counts_from, self.clock())

    def overdue(self, limit: float) -> List[Stopwatch]:
        """The requests for whose next piece of answer the application has needed more than `limit` seconds so far."""
        return [watch for watch in list(self.running.values()) if watch.seconds() > limit]


class Stopwatch:
    """The application's seconds on one piece of an answer: runs while the application does, stands while a client sends or
    receives, and starts anew with each piece. `request` is for people: ``GET /path``.
    """

    def __init__(self, ledger: Ledger, request: str) -> None:
        self.ledger, self.request, self.thread = ledger, request, threading.get_ident()
        # Seconds so far, and since when it runs: always set together, for the thread that reads them.
        self._state: Tuple[float, Optional[float]] = (0.0, None)

    def seconds(self) -> float:
        spent, since = self._state
        return spent if since is None else spent + max(0.0, self.ledger.clock() - max(since, self.ledger.counts_from))

    def piece(self) -> None:
        """A piece of the answer is there: the next one has all its time before it."""
        self._state = (0.0, None if self._state[1] is None else self.ledger.clock())
        self.ledger.answered()

    @contextmanager
    def running(self) -> Iterator[None]:
        self._state = (self._state[0], self.ledger.clock())
        try:
            yield
        finally:
            self._state = (self.seconds(), None)

    @contextmanager
    def standing(self) -> Iterator[None]:
        ran = self._state[1] is not None
        self._state = (self.seconds(), None)
        try:
            yield
        finally:
            self._state = (self._state[0], self.ledger.clock() if ran else None)


def timed(app: WsgiApp, ledger: Ledger) -> WsgiApp:
    """The same WSGI application (PEP 3333), with each of its requests in `ledger` for as long as it has them."""

    def call(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        watch = ledger.enter(described(environ))
        environ["wsgi.input"] = Input(environ["wsgi.input"], watch)

        def start(*args: Any) -> Callable[[bytes], None]:
            write = start_response(*args)

            def write_piece(data: bytes) -> None:
                with watch.standing():
                    write(data)
                watch.piece()

            return write_piece

        try:
            with watch.running():
                answer = app(environ, start)
        except BaseException:
            ledger.leave(watch)
            raise
        if is_plain_file(answer, environ):
            ledger.leave(watch)
            return answer
        return Answer(answer, watch)

    return call


class Answer:
    """The pieces of an answer, the stopwatch running while the application makes one and standing while it is sent."""

    def __init__(self, answer: Iterable[bytes], watch: Stopwatch) -> None:
        self._answer, self._watch = answer, watch
        self._pieces: Optional[Iterator[bytes]] = None

    def __iter__(self) -> Answer:
        return self

    def __next__(self) -> bytes:
        with self._watch.running():
            if self._pieces is None:
                self._pieces = iter(self._answer)
            piece = next(self._pieces)
        if piece:
            self._watch.piece()
        return piece

    def close(self) -> None:
        """The server calls it in any case, at the end or when the client has gone."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                with self._watch.running():
                    close()
        finally:
            self._watch.ledger.leave(self._watch)


class Input:
    """wsgi.input, the stopwatch standing while it waits for the client."""

    def __init__(self, stream: Any, watch: Stopwatch) -> None:
        self._stream, self._watch = stream, watch

    def read(self, *size: int) -> bytes:
        with self._watch.standing():
            return self._stream.read(*size)  # type: ignore[no-any-return]

    def readline(self, *size: int) -> bytes:
        with self._watch.standing():
            return self._stream.readline(*size)  # type: ignore[no-any-return]

    def readlines(self, *hint: int) -> List[bytes]:
        with self._watch.standing():
            return self._stream.readlines(*hint)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def described(environ: Environ) -> str:
    """``GET /path``: no query, which may hold secrets, and nothing but printable characters.

    >>> described({"REQUEST_METHOD": "GET", "PATH_INFO": "/a b" + chr(10), "QUERY_STRING": "token=1"})
    'GET /a%20b%0A'
    """
    path = str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", ""))
    return f"{environ.get('REQUEST_METHOD', '?')} {quote(path, safe='/:@!$&*+,;=~-._', encoding='latin-1', errors='replace')}"


def is_plain_file(answer: Any, environ: Environ) -> bool:
    """Whether the server will send `answer` by sendfile(2), which it does only for its own wrapper around a regular file."""
    wrapper = environ.get("wsgi.file_wrapper")
    if not isinstance(wrapper, type) or not isinstance(answer, wrapper):
        return False
    try:
        return stat.S_ISREG(os.fstat(answer.filelike.fileno()).st_mode)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
