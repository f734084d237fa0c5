"""Who waits for whom."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gitdeploy.deploy.queue import Queue
from gitdeploy.errors import Refused


def enter(queue, place, who, said, until):
    async def work():
        async with queue.turn(place, who, 60.0, lambda holder: said.append(f"{who} waits for {holder}")):
            said.append(f"{who} has it")
            await until

    return Deferred.fromCoroutine(work())


def test_the_second_waits_and_is_told_for_whom():
    clock, said, first, second, third = Clock(), [], Deferred(), Deferred(), Deferred()
    queue = Queue(clock)
    enter(queue, "shop", "alice", said, first)
    enter(queue, "shop", "bob", said, second)
    enter(queue, "blog", "carol", said, third)
    assert said == ["alice has it", "carol has it"]
    clock.advance(1)
    assert said == ["alice has it", "carol has it", "bob waits for alice"]
    first.callback(None)
    assert said[-1] == "bob has it"
    second.callback(None)
    assert list(queue.lines) == ["blog"]


def test_who_gives_up_waiting_is_not_in_the_way():
    queue, said, first = Queue(Clock()), [], Deferred()
    enter(queue, "shop", "alice", said, first)
    bob = enter(queue, "shop", "bob", said, Deferred())
    bob.addErrback(lambda failure: said.append(failure.type.__name__))
    bob.cancel()
    enter(queue, "shop", "carol", said, Deferred())
    first.callback(None)
    assert said[-1] == "carol has it" and "CancelledError" in said


def test_waiting_has_an_end():
    clock, said, errors, ends = (
        Clock(),
        [],
        [],
        Deferred(),
    )  # what nobody refers to is collected, and gives its turn back
    queue = Queue(clock)
    enter(queue, "shop", "alice", said, ends)
    enter(queue, "shop", "bob", said, ends).addErrback(lambda failure: errors.append(failure.value))
    clock.advance(61)
    [error] = errors
    assert isinstance(error, Refused) and "the deploy of alice" in str(error)
    assert queue.lines["shop"].length == 1


def test_a_failure_gives_the_turn_back():
    queue, said = Queue(Clock()), []

    async def fail():
        async with queue.turn("shop", "alice", 1.0, said.append):
            raise Refused("no")

    failed = Deferred.fromCoroutine(fail())
    with pytest.raises(Refused):
        raise failed.result.value
    failed.addErrback(lambda _: None)
    assert queue.lines == {}
