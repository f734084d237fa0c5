"""An application that does on demand what applications must not do: the list of 'The Web Server Benchmarking We Need'."""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

BOMB = 600_000_000
FILE = os.path.join(tempfile.gettempdir(), "big")
leaked: list[str] = []


def cpu() -> bytes:
    for _ in range(10_000_000):
        pass
    return b"counted"


def big() -> bytes:
    return b"x" * 10_000_000


def file() -> bytes:
    if not os.path.exists(FILE):
        with open(FILE, "wb") as one:
            one.truncate(100_000_000)
    with open(FILE, "rb") as one:
        while one.read(1 << 20):
            pass
    return b"read"


def slow() -> bytes:
    time.sleep(1)
    return b"slept"


def spin() -> bytes:
    while True:
        pass


def lock() -> bytes:
    one = threading.Lock()
    one.acquire()
    one.acquire()
    return b"never"


def gil() -> bytes:
    ctypes.PyDLL(None).sleep(3600)  # PyDLL keeps the global interpreter lock
    return b"never"


def segfault() -> bytes:
    return ctypes.string_at(0)


def leak() -> bytes:
    leaked.extend("x" * 100 for _ in range(100_000))
    return b"leaked"


def bomb() -> bytes:
    return str(len(bytearray(BOMB))).encode()


DEEDS: dict[str, Callable[[], bytes]] = {
    one.__name__: one for one in (cpu, big, file, slow, spin, lock, gil, segfault, leak, bomb)
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """GET /DEED does it; POST anywhere reads the body; all else is a good request."""
    if environ["REQUEST_METHOD"] == "POST":
        size = 0
        while piece := environ["wsgi.input"].read(1 << 16):
            size += len(piece)
        body = str(size).encode()
    else:
        body = DEEDS.get(environ["PATH_INFO"].strip("/"), lambda: b"good")()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
