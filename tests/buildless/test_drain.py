import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from buildless import drain


@pytest.fixture
def listener(home, monkeypatch):
    monkeypatch.chdir(home)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(home / "v1.sock"))
        made.listen(5)
        yield home / "v1.sock", made


def count(path):
    return drain.connections(Path("/proc/net/unix").read_text(errors="replace"), str(path))


def test_connections_count_from_the_queue_to_their_end(listener):
    path, server = listener
    assert count(path) == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert count(path) == 1
        accepted, _ = server.accept()
        assert count(path) == 1
        accepted.close()
        assert count(path) == 0


def start(path, pid):
    environ = {**os.environ, "MAINPID": str(pid)} if pid else {}
    return subprocess.Popen([sys.executable, "-I", drain.__file__, str(path)], env=environ)


def test_it_waits_for_the_last_connection(listener):
    path, server = listener
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        accepted, _ = server.accept()
        process = start(path, os.getpid())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        accepted.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_it_does_not_wait_for_who_is_gone(listener, pid):
    path, _ = listener
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert start(path, pid).wait(10) == 0
