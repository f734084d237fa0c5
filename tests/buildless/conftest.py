"""The real web process type of an example application, under each gunicorn there is, on a unix socket."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from buildless.limits import WebLimits

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "apps"
DEBIAN = "/usr/bin/python3"


def has_gunicorn(python):
    if not Path(python).exists():
        return False
    return subprocess.run([python, "-c", "import gunicorn, yaml"], capture_output=True, timeout=30).returncode == 0


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(sys.executable, id="pypi"),
        pytest.param(
            DEBIAN,
            id="debian",
            marks=pytest.mark.skipif(
                not has_gunicorn(DEBIAN), reason="Debian's python3-gunicorn and python3-yaml are not installed here"
            ),
        ),
    ],
)
def python(request):
    return request.param


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Web:
    """A running ``python3 -m buildless.web``; this process has the listening socket and the reading end of the pipe."""

    def __init__(self, python, home, app, limits, environ, outside, libraries):
        self.home, self.path = home, home / "web.sock"
        release = home / "releases" / "v1"
        release.mkdir(parents=True)
        (release / "tree").symlink_to(app)
        (release / "web.sock").symlink_to(self.path)
        settings = {
            "app": app.name,
            "environment": "test",
            "release": "v1",
            "version": "0" * 40,
            "environ": {"PATH": os.defpath, "PYTHONPYCACHEPREFIX": str(home / "pycache"), **environ},
            "web": asdict(limits),
            "libraries": libraries,
        }
        (release / "settings").write_text(json.dumps(settings))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(1024)
        self.pipe, writer = os.pipe()
        self.lines, self.changed, self.rest = [], threading.Condition(), b""
        fd = self.listener.fileno()
        self.process = subprocess.Popen(
            [python, "-m", "buildless.web", str(release), "--fd", str(fd), "--ready-fd", str(writer)],
            cwd=ROOT,
            env={"PATH": os.defpath, "OUTSIDE": "must not be seen", "GUNICORN_CMD_ARGS": "--workers 9", **outside},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(fd, writer),
            start_new_session=True,
        )
        os.close(writer)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.decode("utf-8", "replace"))
                self.changed.notify_all()

    @property
    def output(self):
        return "".join(self.lines)

    def said(self, pattern, timeout=15, times=1):
        """Wait until the output has `pattern` (multi-line) so many times."""
        with self.changed:
            found = self.changed.wait_for(lambda: len(re.findall(pattern, self.output, re.M | re.S)) >= times, timeout)
        assert found, f"{pattern!r} did not come in:\n{self.output}"

    def ready(self, count, timeout=15):
        """Wait for so many more ready lines; returns their process ids."""
        pids, deadline = [], time.monotonic() + timeout
        while len(pids) < count:
            assert self.readable(deadline - time.monotonic()), f"not ready:\n{self.output}"
            data = os.read(self.pipe, 4096)
            assert data, f"ended before it was ready:\n{self.output}"
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                word, pid = line.split()
                assert word == b"ready"
                pids.append(int(pid))
        assert len(pids) == count
        return pids

    def readable(self, timeout):
        return bool(select.select([self.pipe], [], [], max(0, timeout))[0])

    def get(self, path, headers=None, timeout=15, method="GET", body=None):
        connection = UnixConnection(self.path, timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def connect(self, timeout=15):
        """A bare connection, for clients that misbehave."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(str(self.path))
        return sock

    def wait(self, timeout=15):
        """Its exit status, once it has ended and all of its output is there."""
        status = self.process.wait(timeout)
        self.reader.join(timeout)
        return status

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)
        self.reader.join(10)
        self.process.stdout.close()
        self.listener.close()
        os.close(self.pipe)


@pytest.fixture
def home():
    """A directory with a path that is short enough for a unix socket."""
    path = Path(tempfile.mkdtemp(prefix="web-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def web(python, home):
    """``web("hello", processes=2, environ={...})`` starts it; by default one process with limits for quick tests."""
    running = []

    def start(app, environ=None, outside=None, libraries=(), **limits):
        fast = {"processes": 1, "threads": 4, "request": 0.5, "stop": 0.3}
        directory = APPS / app if isinstance(app, str) else app
        limits = WebLimits(**{**fast, **limits})
        running.append(Web(python, home, directory, limits, environ or {}, outside or {}, list(libraries)))
        return running[-1]

    yield start
    for each in running:
        each.close()
