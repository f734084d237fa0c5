import os
import select
import socket

import pytest

from buildless.notify import Notify


@pytest.fixture
def manager(home):
    """systemd's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(home / "notify"))
        yield receiver


def said(manager):
    return bool(select.select([manager], [], [], 0.2)[0])


def in_a_child(work):
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_ready_is_said_once_and_by_the_last(manager):
    notify = Notify(manager.getsockname(), 3)
    in_a_child(notify.loaded)
    in_a_child(notify.loaded)
    assert not said(manager)
    in_a_child(notify.loaded)
    assert manager.recv(100) == b"READY=1"
    in_a_child(notify.loaded)
    assert not said(manager)


def test_nobody_to_tell():
    Notify(None, 1).loaded()
