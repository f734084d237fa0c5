"""Does on request what breaks web servers. How it behaves while it is loaded comes from its environment."""

import ctypes
import os
import subprocess
import tempfile
import threading
import time

LEAKED = []
LOCK = threading.Lock()

print("loading", flush=True)
while "LOAD_AFTER" in os.environ and not os.path.exists(os.environ["LOAD_AFTER"]):
    time.sleep(0.02)
if "FAIL_IF" in os.environ and os.path.exists(os.environ["FAIL_IF"]):
    raise RuntimeError("told to fail")
BALLAST = bytearray(int(os.environ.get("BALLAST", 0)))


def good():
    yield b"%d" % os.getpid()


def sleep():
    time.sleep(1)
    yield b"slept"


def spin():
    while True:
        pass
    yield b""


def lock():
    LOCK.acquire()
    LOCK.acquire()
    yield b""


def gil():
    ctypes.PyDLL(None).sleep(3600)
    yield b""


def segfault():
    ctypes.string_at(0)
    yield b""


def bomb():
    yield b"%d" % len(bytearray(600_000_000))


def leak():
    LEAKED.append(b"x" * 20_000_000)
    yield b"%d" % os.getpid()


def stream():
    for _ in range(10):
        time.sleep(0.2)
        yield b"piece;"


def stall():
    yield b"begun;"
    time.sleep(3600)


def slow_close():
    return Closing()


class Closing:
    def __iter__(self):
        return iter([b"done"])

    def close(self):
        time.sleep(3600)


def big():
    for _ in range(64):
        yield b"x" * 65536


def child():
    """A program of its own; which descriptors it has is its answer."""
    process = subprocess.Popen(["ls", "-l", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False)
    yield process.communicate(timeout=10)[0]


def sendfile(environ):
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
    file.write(b"x" * 64 * 65536)
    file.seek(0)
    return environ["wsgi.file_wrapper"](file)


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/") or "good"
    if name == "writer":
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        for _ in range(64):
            write(b"x" * 65536)
        return []
    if name == "raise":
        raise ValueError("told to raise")
    if name == "upload":
        size = len(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % size]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if name == "sendfile":
        return sendfile(environ)
    return globals()[name]()
