"""A real front in its own process; the tests are its clients and its applications, on real sockets."""

import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PATIENCE = 20  # seconds; no test waits longer for anything


class Peer:
    """One end of a connection, with what came and was not asked for yet."""

    def __init__(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE)
        self.socket = plain
        self.kept = b""

    def send(self, data: bytes) -> "Peer":
        self.socket.sendall(data)
        return self

    def _more(self) -> bool:
        data = self.socket.recv(1 << 16)
        self.kept += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        while mark not in self.kept:
            assert self._more(), f"closed after {self.kept!r}"
        found, _, self.kept = self.kept.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        while len(self.kept) < count:
            assert self._more(), f"closed after {self.kept!r}"
        found, self.kept = self.kept[:count], self.kept[count:]
        return found

    def head(self) -> tuple[str, dict[str, str]]:
        """The first line, and the fields (names lower-cased)."""
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in fields, f"{name} twice"
            fields[name.lower()] = value.strip()
        return first, fields

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """A whole answer with Content-Length: status, fields, body."""
        first, fields = self.head()
        return int(first.split()[1]), fields, self.exactly(int(fields.get("content-length", 0)))

    def rest(self) -> bytes:
        """Everything until the other side closes."""
        while self._more():
            pass
        found, self.kept = self.kept, b""
        return found

    def cut(self) -> bool:
        """Whether the connection ends with a reset (and not with an orderly close)."""
        try:
            self.rest()
        except ConnectionResetError:
            return True
        return False

    def close(self) -> None:
        self.socket.close()


class Application:
    """Listens on a unix socket; the test answers."""

    def __init__(self, path: str, backlog: int = 50) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(path)
        self.listener.listen(backlog)
        self.peers: list[Peer] = []

    def accept(self) -> Peer:
        peer = Peer(self.listener.accept()[0])
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.listener.close()


class Served:
    """A running front."""

    def __init__(self, settings: dict, log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", str(HERE / "serve_front.py"), json.dumps(settings)],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self._lines = b""
        self.clients: list[Peer] = []
        self.port = 0

    def wait_until_ready(self) -> "Served":
        self.port = int(self.line())
        return self

    def line(self) -> str:
        """The next line the front printed."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._lines:
                assert selector.select(PATIENCE), "nothing more is said"
                data = os.read(self.process.stdout.fileno(), 1 << 16)
                assert data, self.log.read_text()
                self._lines += data
        found, _, self._lines = self._lines.partition(b"\n")
        return found.decode()

    def client(self) -> Peer:
        peer = Peer(socket.create_connection(("127.0.0.1", self.port), PATIENCE))
        self.clients.append(peer)
        return peer

    def ask(self, request: bytes) -> Peer:
        return self.client().send(request)

    def memory(self) -> int:
        """The most memory the front ever had (VmHWM), in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def room():
    """A directory whose name is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="front-") as path:
        yield Path(path)


@pytest.fixture
def app(room):
    """An application on ``room/app``."""
    application = Application(str(room / "app"))
    yield application
    application.close()


@pytest.fixture
def serve(room):
    """serve(hosts, https=..., **limits): a running front; it is ended when the test is, and must have logged no error."""
    running: list[Served] = []

    def start(hosts: dict | None = None, https: bool = False, **limits: float) -> Served:
        hosts = {"shop.localhost": {"socket": str(room / "app")}} if hosts is None else hosts
        running.append(Served({"hosts": hosts, "https": https, "limits": limits}, room / f"log{len(running)}"))
        return running[-1].wait_until_ready()

    yield start
    for each in running:
        each.close()
        log = each.log.read_text()
        assert "Traceback" not in log or "resolve fell over" in log, log


@pytest.fixture
def eventually():
    """eventually(check): wait until `check()` is true; for what nobody can announce."""

    def wait(check) -> None:
        deadline = time.monotonic() + PATIENCE
        while not check():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)

    return wait
