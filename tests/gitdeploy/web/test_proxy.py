"""Between the front and an application: streams, early and missing answers, upgrades, and who is cut off when."""

import threading

import pytest

GET = b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
GIGABYTE = 10**9
BLOCK = b"x" * 1_000_000


def pour(peer, count: int) -> threading.Thread:
    """Send `count` bytes on another thread; the socket's time limit ends it."""

    def run() -> None:
        try:
            for _ in range(count // len(BLOCK)):
                peer.socket.sendall(BLOCK)
        except OSError:
            pass  # the other side has enough; the reader says whether that is right

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def drain(peer, count: int) -> int:
    """Read `count` bytes away; how many came."""
    got = len(peer.kept)
    peer.kept = b""
    room = bytearray(1 << 20)
    while got < count:
        more = peer.socket.recv_into(room, min(len(room), count - got))
        if not more:
            break
        got += more
    return got


def test_a_gigabyte_up_does_not_grow_the_server(serve, app):
    front = serve()
    client = front.ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 1000000000\r\n\r\n")
    peer = app.accept()
    peer.head()
    before = front.memory()
    thread = pour(client, GIGABYTE)
    assert drain(peer, GIGABYTE) == GIGABYTE
    peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.head()[0] == "HTTP/1.1 204 No Content"
    thread.join(20)
    assert front.memory() - before < 8e6


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000000\r\n", b""])
def test_a_gigabyte_down_does_not_grow_the_server(serve, app, framing):
    front = serve()
    client = front.ask(GET)
    peer = app.accept()
    peer.head()
    before = front.memory()
    peer.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
    thread = pour(peer, GIGABYTE)
    client.head()
    assert drain(client, GIGABYTE) == GIGABYTE
    thread.join(20)
    assert front.memory() - before < 8e6


def test_a_slow_reader_holds_the_application_back(serve, app, eventually):
    front = serve()
    client = front.ask(GET)
    peer = app.accept()
    peer.head()
    before = front.memory()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    thread = pour(peer, 100_000_000)
    client.head()
    thread.join(1)
    assert thread.is_alive(), "the application could write everything, so somebody keeps it"
    assert front.memory() - before < 8e6
    assert drain(client, 100_000_000) == 100_000_000
    thread.join(20)


def test_a_slow_application_holds_the_client_back(serve, app):
    front = serve()
    client = front.ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 100000000\r\n\r\n")
    peer = app.accept()
    peer.head()
    before = front.memory()
    thread = pour(client, 100_000_000)
    thread.join(1)
    assert thread.is_alive()
    assert front.memory() - before < 8e6
    assert drain(peer, 100_000_000) == 100_000_000
    thread.join(20)


def test_both_ways_at_once(serve, app):
    client = serve().ask(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.head()
    for _ in range(3):
        client.send(b"2\r\nab\r\n")
        assert peer.until(b"ab\r\n") == b"2\r\nab\r\n"
        peer.send(b"2\r\nba\r\n")
        assert client.until(b"ba\r\n") == b"2\r\nba\r\n"


def test_an_answer_before_the_request_was_read(serve, app):
    front = serve()
    client = front.ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 100000000\r\n\r\n")
    peer = app.accept()
    peer.head()
    thread = pour(client, 100_000_000)
    peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 150000\r\n\r\n" + b"y" * 150_000).close()
    status, fields, body = client.answer()
    assert (status, fields["connection"], body) == (413, "close", b"y" * 150_000)
    assert [front.line(), front.line()] == ["began v7", "ended v7"]
    assert client.rest() == b""
    thread.join(20)


def test_an_early_answer_survives_a_slow_client_and_a_failing_write(serve, app):
    """The application has answered and is gone while the client neither reads nor stops sending."""
    front = serve()
    client = front.ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 100000000\r\n\r\n")
    peer = app.accept()
    peer.head()
    thread = pour(client, 50_000_000)
    size = 8_000_000
    peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % size)
    writing = pour(peer, size)
    writing.join(0.5)
    assert client.head()[0] == "HTTP/1.1 413 Too Large"
    assert drain(client, size) == size
    writing.join(20)
    peer.close()
    thread.join(20)


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
def test_an_application_that_dies_before_it_answers(serve, app, before):
    front = serve()
    client = front.ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(before).close()
    if b"100" in before:
        client.head()
    status, _, body = client.answer()
    assert status == 502
    assert b"logs staging/shop" in body
    assert [front.line(), front.line()] == ["began v7", "ended v7"]
    client.send(GET)  # the connection lives on, and the request was not sent twice
    app.accept().head()


def test_an_application_that_answers_nonsense(serve, app):
    client = serve().ask(GET)
    app.accept().send(b"\x00\x01 what?\r\n\r\n")
    status, _, body = client.answer()
    assert status == 502
    assert b"not HTTP/1.1" in body


@pytest.mark.parametrize(
    "half",
    [
        b"Content-Length: 10\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_half_an_answer_never_looks_whole(serve, app, half, version):
    front = serve()
    client = front.ask(GET.replace(b"1.1", version))
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\n" + half)
    client.until(b"half")
    peer.close()
    assert client.cut()
    assert [front.line(), front.line()] == ["began v7", "ended v7"]


def test_too_slow_an_answer_is_504(serve, app):
    front = serve(response=0.3)
    client = front.ask(GET)
    peer = app.accept()
    peer.head()
    status, _, body = client.answer()
    assert status == 504
    assert b"0.3 seconds" in body
    assert peer.rest() == b""
    assert [front.line(), front.line()] == ["began v7", "ended v7"]


def test_too_long_a_pause_within_an_answer_cuts_it(serve, app):
    client = serve(response=0.3).ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    client.until(b"half")
    assert client.cut()


def test_progress_counts_not_the_whole_time(serve, app):
    client = serve(response=0.6).ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    client.head()
    for _ in range(10):  # 2 seconds in all
        threading.Event().wait(0.2)
        peer.send(b".")
        assert client.exactly(1) == b"."


def test_an_application_that_does_not_take_the_request_is_504(serve, app):
    front = serve(response=0.5)
    client = front.ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 100000000\r\n\r\n")
    app.accept().head()
    thread = pour(client, 50_000_000)
    assert client.answer()[0] == 504
    thread.join(20)


def test_a_slow_client_is_not_the_applications_fault(serve, app):
    """Neither an upload that pauses nor a download that is not read counts against the application."""
    front = serve(response=0.2, client=20)
    client = front.ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\n\r\na")
    peer = app.accept()
    peer.until(b"\r\n\r\n")
    assert peer.exactly(1) == b"a"
    threading.Event().wait(0.7)
    client.send(b"b")
    assert peer.exactly(1) == b"b"
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n")
    thread = pour(peer, 30_000_000)
    client.head()
    threading.Event().wait(0.7)
    assert drain(client, 30_000_000) == 30_000_000
    thread.join(20)


def test_a_client_that_takes_nothing_is_cut_off(serve, app):
    front = serve(client=0.4)
    client = front.ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    thread = pour(peer, 100_000_000)
    assert [front.line(), front.line()] == ["began v7", "ended v7"]
    assert client.cut()
    thread.join(20)


@pytest.mark.parametrize("moment", ["waiting", "sending", "receiving"])
def test_the_client_is_gone(serve, app, moment):
    front = serve()
    length = b"Content-Length: 10\r\n" if moment == "sending" else b""
    client = front.ask(GET[:-2] + length + b"\r\n")
    peer = app.accept()
    peer.head()
    if moment == "receiving":
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        client.until(b"half")
    client.close()
    assert peer.rest() == b""
    assert [front.line(), front.line()] == ["began v7", "ended v7"]


def test_a_full_queue_is_503(serve, room):
    import socket

    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(room / "app"))
        listener.listen(0)
        first.connect(str(room / "app"))
        status, fields, body = serve().ask(GET).answer()
    assert (status, fields["retry-after"]) == (503, "1")
    assert b"ps staging/shop" in body


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: shop.localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: k\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n"
)


def test_an_upgrade_with_bytes_that_came_along(serve, app):
    front = serve()
    client = front.ask(UPGRADE + b"early")
    peer = app.accept()
    fields = peer.head()[1]
    assert (fields["connection"], fields["upgrade"], fields["sec-websocket-key"]) == ("upgrade", "websocket", "k")
    peer.send(SWITCH + b"hasty")
    first, fields = client.head()
    assert first == "HTTP/1.1 101 Switching Protocols"
    assert (fields["connection"], fields["upgrade"], fields["sec-websocket-accept"]) == ("upgrade", "websocket", "a")
    assert client.exactly(5) == b"hasty"
    assert peer.exactly(5) == b"early"
    client.send(b"\x81\x00\xff")
    assert peer.exactly(3) == b"\x81\x00\xff"
    peer.send(b"\x00\r\n\r\n")
    assert client.exactly(5) == b"\x00\r\n\r\n"
    assert front.line() == "began v7"
    client.send(b"bye").close()
    assert peer.rest() == b"bye"
    assert front.line() == "ended v7"


def test_an_upgraded_connection_has_backpressure_and_ends_with_the_application(serve, app):
    front = serve()
    client = front.ask(UPGRADE)
    peer = app.accept()
    peer.head()
    peer.send(SWITCH)
    client.head()
    before = front.memory()
    thread = pour(peer, 100_000_000)
    thread.join(0.5)
    assert thread.is_alive()
    assert drain(client, 100_000_000) == 100_000_000
    thread = pour(client, 100_000_000)
    thread.join(0.5)
    assert thread.is_alive()
    assert drain(peer, 100_000_000) == 100_000_000
    assert front.memory() - before < 8e6
    peer.send(b"last").close()
    assert client.rest() == b"last"


def test_a_silent_upgraded_connection_ends(serve, app):
    client = serve(tunnel=0.3, response=0.1).ask(UPGRADE)
    peer = app.accept()
    peer.head()
    peer.send(SWITCH)
    client.head()
    assert client.rest() == b""
    assert peer.rest() == b""


def test_a_refused_upgrade_is_an_answer_like_any_other(serve, app):
    client = serve().ask(UPGRADE)
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno")
    assert client.answer()[2] == b"no"
    client.send(GET)
    app.accept().head()


def test_a_switch_nobody_asked_for_is_nonsense(serve, app):
    client = serve().ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(SWITCH)
    assert client.answer()[0] == 502
