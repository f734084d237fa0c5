"""Asks a WSGI application for a page from inside its own process: no socket, no server, and a mark that says so."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import unquote_to_bytes

from buildless.values import split_location

INTERNAL = "buildless.internal"
"""True in the WSGI environ of a request from inside. One from outside cannot have it: what clients send becomes HTTP_*."""


@dataclass(frozen=True)
class Answer:
    """What the application answered: ``200 OK``, headers, and the whole body."""

    status: str
    headers: Tuple[Tuple[str, str], ...]
    body: bytes

    @property
    def success(self) -> bool:
        """Whether the status is below 400."""
        return self.status[:3].isdigit() and int(self.status[:3]) < 400


def wsgi_environ(path: str, location: str) -> Dict[str, Any]:
    """The WSGI environ (PEP 3333) of a GET request for a URL path, which may have a query, below a location.

    >>> found = wsgi_environ("/a%20b?c=1", "shop.example.com")
    >>> found["PATH_INFO"], found["QUERY_STRING"], found["SERVER_NAME"], found["buildless.internal"]
    ('/a b', 'c=1', 'shop.example.com', True)
    >>> wsgi_environ("/a", "example.com/blog")["SCRIPT_NAME"]
    '/blog'
    """
    before, _, query = path.partition("?")
    host, script = split_location(location)
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script,
        "PATH_INFO": unquote_to_bytes(before).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": host,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": True,
        INTERNAL: True,
    }


def ask(app: Callable[..., Any], path: str, location: str = "localhost") -> Answer:
    """What `app` answers to a GET of `path`. Whatever it raises comes through.

    >>> def app(environ, start_response):
    ...     start_response("200 OK", [("Content-Type", "text/plain")])
    ...     return [b"from inside: ", str(environ["buildless.internal"]).encode()]
    >>> ask(app, "/")
    Answer(status='200 OK', headers=(('Content-Type', 'text/plain'),), body=b'from inside: True')
    """
    started: List[Tuple[str, Tuple[Tuple[str, str], ...]]] = []
    written: List[bytes] = []

    def start_response(status: str, headers: List[Tuple[str, str]], exc_info: Optional[Any] = None) -> Any:
        if started and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info (PEP 3333)")
        started[:] = [(status, tuple(headers))]
        return written.append

    pieces = app(wsgi_environ(path, location), start_response)
    try:
        written.extend(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    if not started:
        raise AssertionError("the application answered without calling start_response (PEP 3333)")
    status, headers = started[0]
    return Answer(status, headers, b"".join(written))
