"""Where somebody writes an application: a directory of theirs, a home, and ``gitdeploy serve`` beside it."""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .client import free_port
from .session import LIMIT, Answer, Done, Running, eventually, remove, run

GITDEPLOY = (sys.executable, "-m", "gitdeploy")


class Desk:
    """Where somebody writes the application `shop`, whose home is beside it."""

    def __init__(self, top: Path) -> None:
        self.top, self.shop, self.port = top, top / "shop", free_port()
        self.home, self.tmp = top / "home", top / "tmp"
        for directory in (self.shop, self.home, self.tmp):
            directory.mkdir()
        self.env = {**os.environ, "HOME": str(self.home), "TMPDIR": str(self.tmp), "PYTHONWARNINGS": "ignore"}
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "VIRTUAL_ENV"):
            self.env.pop(name, None)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.shop / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def argv(self, *words: str) -> tuple[str, ...]:
        return (*GITDEPLOY, "serve", *words, "--port", str(self.port))

    def serve(self, files: dict[str, str]) -> Running:
        self.write(files)
        self.running = Running(self.argv("shop"), self.env, self.top)
        return self.running

    def gitdeploy(self, *words: str, cwd: str = "shop") -> Done:
        return run([*GITDEPLOY, *words], self.env, self.top / cwd, limit=120)

    def get(self, path: str = "/", accept: str = "*/*") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            connection.request("GET", path, headers={"Host": f"localhost:{self.port}", "Accept": accept})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def processes(self) -> list[int]:
        """The processes that have to do with this desk's application, other than the command itself."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = path.read_bytes()
            except OSError:
                continue
            if b"buildless.web" in text and str(self.home).encode() in text:
                found.append(int(path.parent.name))
        return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    """In a directory whose name is short, because sockets are in it (unix(7)): that of a test in a lane is longer."""
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    made = Desk(top)
    yield made
    if hasattr(made, "running"):
        made.running.close()
    eventually("no process is left", lambda: not made.processes())
    remove(top)
