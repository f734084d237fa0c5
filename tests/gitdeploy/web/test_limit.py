"""Time limits, on a clock that the test moves."""

from twisted.internet.task import Clock

from gitdeploy.web.limit import Limit


def test_it_is_late_once_and_touching_pushes_it_back():
    clock, late = Clock(), []
    limit = Limit(clock, lambda: late.append(clock.seconds()))
    limit.start(10)
    clock.advance(6)
    limit.touch()
    clock.advance(6)
    assert late == []
    clock.pump([1] * 20)
    assert late == [16]
    assert clock.getDelayedCalls() == []


def test_starting_anew_may_be_shorter_or_longer():
    clock, late = Clock(), []
    limit = Limit(clock, lambda: late.append(clock.seconds()))
    limit.start(10)
    limit.start(3)
    clock.advance(3)
    limit.start(1)
    limit.start(5)
    clock.pump([1] * 10)
    assert late == [3, 8]


def test_stopped_leaves_nothing_behind():
    clock = Clock()
    limit = Limit(clock, lambda: None)
    limit.start(1)
    limit.stop()
    assert clock.getDelayedCalls() == []
