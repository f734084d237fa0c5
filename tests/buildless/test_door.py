"""The door of a process, on a real socket."""

import errno
import socket
import time

import pytest

from buildless.door import Door, hear, some


@pytest.fixture
def outside():
    """A listening socket, and what connects to it."""
    connected = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)

        def come():
            connected.append(socket.create_connection(listener.getsockname(), 10))

        yield listener, come
        for one in connected:
            one.close()


def refused(door):
    with pytest.raises(BlockingIOError) as caught:
        door.accept()
    return caught.value.errno == errno.EAGAIN


def test_no_more_come_in_than_there_is_room_for(outside):
    listener, come = outside
    door = Door(listener, 2)
    assert door.getsockname() == listener.getsockname()
    for _ in range(4):
        come()
    (first, _), (second, _) = door.accept(), door.accept()
    assert door.inside() == 2 and refused(door)
    door.leave(first)  # answered, and not closed yet
    third, _ = door.accept()
    assert refused(door)
    second.close()  # without an answer
    fourth, _ = door.accept()
    assert door.inside() == 2
    for one in (first, third, fourth):
        one.close()


def test_nobody_comes_in_when_it_is_shut_and_others_still_do(outside):
    listener, come = outside
    door, other = Door(listener, 2), Door(listener, 2)
    come()
    door.shut()
    assert refused(door)
    connection, _ = other.accept()
    connection.close()


def test_who_is_inside_is_heard_first(outside):
    listener, come = outside
    door, heard, beats = Door(listener, 2), [], []
    come()
    connection, _ = door.accept()
    door.shut()

    def meanwhile():
        beats.append("beat")
        if len(beats) == 3:
            heard.append(connection)

    hear([door], lambda: len(heard), time.monotonic() + 60, meanwhile)
    assert beats == ["beat"] * 3
    heard.clear()
    hear(
        [door], lambda: len(heard), time.monotonic() + 0.05, lambda: None
    )  # who says nothing is not waited for for ever
    assert door.inside() == 1
    connection.close()


def test_a_connection_that_nobody_has_any_more_is_not_inside(outside):
    listener, come = outside
    door = Door(listener, 1)
    come()
    door.accept()[0].detach()
    assert door.inside() == 0


def test_processes_end_after_different_numbers_of_requests():
    assert some(0, 500) == 0 and some(5, 0) == 5
    assert {some(10, 1) for _ in range(1000)} == {10, 11}
