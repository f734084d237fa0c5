import doctest
import io

import pytest

from buildless import stopwatch
from buildless.stopwatch import Ledger, timed


class Clock:
    now = 100.0

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(clock):
    return Ledger(0.0, clock)


def call(app, ledger, body=b""):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "wsgi.input": io.BytesIO(body)}
    written = []
    answer = timed(app, ledger)(environ, lambda *args: written.append)
    return answer, written


def spent(ledger):
    return [watch.seconds() for watch in ledger.running.values()]


def test_the_examples_in_docstrings():
    results = doctest.testmod(stopwatch)
    assert results.attempted and not results.failed


def test_the_call_and_the_first_piece_share_their_time(clock, ledger):
    def app(environ, start_response):
        clock.passes(2)
        return pieces()

    def pieces():
        clock.passes(3)
        seen.extend(spent(ledger))
        yield b""
        clock.passes(1)
        seen.extend(spent(ledger))
        yield b"piece"
        clock.passes(4)
        seen.extend(spent(ledger))

    seen = []
    answer, _ = call(app, ledger)
    for _ in answer:
        clock.passes(60)  # the client takes its time
    assert seen == [5, 6, 4]
    answer.close()
    assert not ledger.running


def test_reading_does_not_count(clock, ledger):
    class Slow(io.BytesIO):
        def read(self, *args):
            clock.passes(60)
            return super().read(*args)

        readline = readlines = read

    def app(environ, start_response):
        environ["wsgi.input"] = stopwatch.Input(Slow(b"x"), next(iter(ledger.running.values())))
        clock.passes(1)
        environ["wsgi.input"].read()
        environ["wsgi.input"].readline(5)
        environ["wsgi.input"].readlines()
        list(environ["wsgi.input"])
        clock.passes(2)
        return spent(ledger)

    answer, _ = call(app, ledger)
    assert list(answer) == [3]


def test_write_is_a_piece_and_does_not_count(clock, ledger):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        clock.passes(3)
        write(b"piece")
        clock.passes(2)
        return spent(ledger)

    answer, written = call(app, ledger)
    assert (list(answer), written) == ([2], [b"piece"])


def test_nothing_counts_before_the_grace_is_over(clock):
    ledger = Ledger(clock.now + 60, clock)
    watch, other = ledger.enter("GET /"), ledger.enter("GET /other")
    with watch.running(), other.running():
        clock.passes(59)
        assert ledger.overdue(5) == []
        clock.passes(7)
        assert ledger.overdue(5) == [watch, other]
        assert watch.seconds() == 6


def test_the_first_answer_ends_the_grace_for_the_others_from_then_on(clock):
    ledger = Ledger(clock.now + 60, clock)
    first, other = ledger.enter("GET /"), ledger.enter("GET /other")
    with other.running():
        clock.passes(20)
        ledger.leave(first)
        clock.passes(5)
        assert ledger.overdue(5) == []
        clock.passes(1)
        assert ledger.overdue(5) == [other]


@pytest.mark.parametrize("where", ["call", "next", "close"])
def test_an_exception_leaves_nothing_behind(clock, ledger, where):
    class Body:
        def __iter__(self):
            if where == "next":
                raise ValueError
            return iter([b"x"])

        def close(self):
            if where == "close":
                raise ValueError

    def app(environ, start_response):
        if where == "call":
            raise ValueError
        return Body()

    def serve():
        answer, _ = call(app, ledger)
        try:
            list(answer)
        finally:
            answer.close()

    with pytest.raises(ValueError):
        serve()
    assert not ledger.running
