"""Requests through the front: the messages, keep-alive, and the answers it gives itself."""

import re

import pytest

GET = b"GET /x?y=1 HTTP/1.1\r\nHost: shop.localhost:8080\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: mine\r\nDate: today\r\n\r\nhello"


def test_a_request_and_its_answer(serve, app):
    front = serve()
    client = front.ask(b"GET /a%20b?c HTTP/1.1\r\nhOsT: Shop.localhost:8080\r\nX-Mine: yes\r\n\r\n")
    peer = app.accept()
    first, fields = peer.head()
    assert first == "GET /a%20b?c HTTP/1.1"
    assert re.fullmatch(r"t=\d{10}\.\d{3}", fields.pop("x-request-start"))
    assert fields == {
        "host": "Shop.localhost:8080",
        "x-mine": "yes",
        "connection": "close",
        "x-forwarded-for": "127.0.0.1",
        "x-real-ip": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "Shop.localhost:8080",
        "x-forwarded-port": "8080",
    }
    peer.send(OK)
    assert client.until(b"hello") == OK
    assert [front.line(), front.line()] == ["began v7", "ended v7"]
    assert peer.rest() == b""  # closed


def test_https_is_told(serve, app):
    front = serve(https=True)
    front.ask(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    fields = app.accept().head()[1]
    assert (fields["x-forwarded-proto"], fields["x-forwarded-port"]) == ("https", "443")


def test_latin_1_passes_untouched_both_ways(serve, app):
    client = serve().ask(GET[:-2] + b"X-Name: caf\xe9 \xff\r\n\r\n")
    peer = app.accept()
    assert peer.head()[1]["x-name"] == "caf\xe9 \xff"
    peer.send(b"HTTP/1.1 200 Tr\xe8s bien\r\nX-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n")
    first, fields = client.head()
    assert (first, fields["x-name"]) == ("HTTP/1.1 200 Tr\xe8s bien", "caf\xe9")


def test_keep_alive_and_a_connection_to_the_application_for_each(serve, app):
    client = serve().client()
    for _ in range(3):
        client.send(GET)
        peer = app.accept()
        peer.head()
        peer.send(OK)
        assert client.until(b"hello") == OK


def test_pipelined_requests_are_answered_in_order_one_at_a_time(serve, app, room):
    (room / "s").mkdir()
    (room / "s/file").write_bytes(b"a file")
    front = serve({"shop.localhost": {"socket": str(room / "app"), "static": str(room / "s")}})
    post = b"POST /p HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 3\r\n\r\nabc"
    client = front.ask(GET + GET.replace(b"/x?y=1", b"/file") + post + GET)
    for begins, body in ((b"GET /x", b"first"), (b"POST", b"third"), (b"GET /x", b"forth")):
        peer = app.accept()
        assert peer.until(b"\r\n\r\n").startswith(begins)
        if begins == b"POST":
            assert peer.exactly(3) == b"abc"
        peer.send(OK.replace(b"hello", body))
    assert [client.answer()[2] for _ in range(4)] == [b"first", b"a file", b"third", b"forth"]


def test_thousands_of_pipelined_requests_neither_recurse_nor_stay_in_memory(serve, room):
    (room / "s").mkdir()
    (room / "s/file").write_bytes(b"x" * 60_000)
    front = serve({"shop.localhost": {"static": str(room / "s")}})
    before = front.memory()
    one = b"GET /file HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
    client = front.client()
    client.socket.setblocking(False)
    sent = 0
    pipelined = one * 3000
    received = 0
    client.socket.settimeout(20)
    sent = client.socket.send(pipelined)
    while received < 3000:
        if sent < len(pipelined):
            sent += client.socket.send(pipelined[sent : sent + 4096])
        assert client.answer()[2] == b"x" * 60_000
        received += 1
    assert front.memory() - before < 20e6


def test_http_1_0_client(serve, app):
    client = serve().ask(
        b"GET / HTTP/1.0\r\nHost: shop.localhost\r\nExpect: 100-continue\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    )
    peer = app.accept()
    first, fields = peer.head()
    assert first == "GET / HTTP/1.1"
    assert "expect" not in fields and "upgrade" not in fields
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    head, _, body = client.rest().partition(b"\r\n\r\n")
    assert body == b"hello"
    assert b"chunked" not in head


def test_http_1_0_without_host_asks_for_the_nameless_one(serve, app, room):
    serve({"": {"socket": str(room / "app")}}).ask(b"GET / HTTP/1.0\r\n\r\n")
    assert app.accept().head()[1]["host"] == ""


def test_head(serve, app):
    client = serve().ask(GET.replace(b"GET", b"HEAD"))
    peer = app.accept()
    assert peer.head()[0].startswith("HEAD ")
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    assert client.head()[1]["content-length"] == "5000"
    client.send(GET)
    peer = app.accept()
    peer.head()
    peer.send(OK)
    assert client.answer()[2] == b"hello"


def test_chunked_both_ways(serve, app):
    client = serve().ask(b"PUT / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    peer = app.accept()
    assert peer.head()[1]["transfer-encoding"] == "chunked"
    assert peer.until(b"abc\r\n") == b"3\r\nabc\r\n"
    client.send(b"2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n")
    assert peer.until(b"0\r\n\r\n") == b"2\r\nde\r\n0\r\n\r\n"
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    assert client.head()[1]["transfer-encoding"] == "chunked"
    assert client.until(b"a\r\n") == b"1\r\na\r\n"  # at once, not when it is complete
    peer.send(b"0\r\n\r\n")
    assert client.until(b"0\r\n\r\n") == b"0\r\n\r\n"


def test_an_answer_that_ends_with_the_connection_becomes_chunked(serve, app):
    client = serve().ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.0 200 OK\r\n\r\nsome").close()
    assert client.head()[1]["transfer-encoding"] == "chunked"
    assert client.until(b"0\r\n\r\n") == b"4\r\nsome\r\n0\r\n\r\n"


def test_expect_100_continue_is_the_applications_to_answer(serve, app):
    front = serve()
    client = front.ask(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    peer = app.accept()
    assert peer.head()[1]["expect"] == "100-continue"
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.head()[0] == "HTTP/1.1 100 Continue"
    client.send(b"ab")
    assert peer.exactly(2) == b"ab"
    peer.send(OK)
    assert client.answer()[2] == b"hello"


def test_early_hints_pass(serve, app):
    client = serve().ask(GET)
    peer = app.accept()
    peer.head()
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK)
    assert client.head() == ("HTTP/1.1 103 Early Hints", {"link": "</a.css>"})
    assert client.answer()[2] == b"hello"


def test_unknown_methods_pass(serve, app):
    serve().ask(GET.replace(b"GET", b"PROPFIND"))
    assert app.accept().head()[0] == "PROPFIND /x?y=1 HTTP/1.1"


def test_unknown_host(serve):
    client = serve().ask(b"GET / HTTP/1.1\r\nHost: nobody.localhost\r\nAccept: text/html,*/*\r\n\r\n")
    status, fields, body = client.answer()
    assert (status, fields["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"nobody.localhost" in body and b"<h1>Nothing here by that name</h1>" in body
    client.send(b"HEAD / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
    first, fields = client.head()
    assert (first, fields["content-type"]) == ("HTTP/1.1 404 ", "text/plain; charset=utf-8")
    client.send(b"GET / HTTP/1.1\r\nHost: other\r\n\r\n")  # the connection lived on, without a body for HEAD
    assert client.answer()[0] == 404


def test_stopped_application(serve):
    client = serve({"shop.localhost": {"stopped": True, "app": "shop"}}).ask(GET)
    status, fields, body = client.answer()
    assert (status, fields["retry-after"]) == (503, "30")
    assert b"redeploy shop" in body


def test_nobody_listens(serve):
    front = serve()
    status, _, body = front.ask(GET).answer()
    assert status == 502
    assert b"logs staging/shop" in body
    assert [front.line(), front.line()] == ["began v7", "ended v7"]


def test_a_body_for_a_page_is_not_read_and_the_page_arrives(serve):
    front = serve()
    client = front.ask(b"POST / HTTP/1.1\r\nHost: nobody\r\nContent-Length: 100000000\r\n\r\n")
    status, fields, _ = client.answer()
    assert (status, fields["connection"]) == (404, "close")
    client.send(b"x" * 300_000)  # thrown away, not answered with a reset
    assert client.rest() == b""


def test_a_defect_of_ours_is_logged_and_answered(serve):
    front = serve()
    client = front.ask(GET.replace(b"shop.localhost:8080", b"broken"))
    assert client.answer()[0] == 500
    client.send(GET.replace(b"shop.localhost:8080", b"nobody"))
    assert client.answer()[0] == 404
    assert "ZeroDivisionError" in front.log.read_text()


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, b"nonsense\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (400, b"GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nBad Name: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nName : x\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: -1\r\n\r\n"),
        (
            400,
            b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (400, b"POST / HTTP/1.0\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        (501, b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: \x0bchunked\r\n\r\n"),
        (501, b"CONNECT shop.localhost:443 HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: shop.localhost\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nX: " + b"x" * 200_000),
    ],
)
def test_requests_that_are_none(serve, status, request_):
    front = serve()
    client = front.ask(request_)
    got, fields, _ = client.answer()
    if status == 501 and b"\x0b" in request_:
        assert got in (400, 501)
    else:
        assert got == status
    assert fields["connection"] == "close"
    client.socket.shutdown(1)
    assert client.rest() == b""


def test_a_malformed_chunk_reaches_nobody_as_complete(serve, app):
    front = serve()
    client = front.ask(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    peer = app.accept()
    peer.until(b"abc\r\n")
    client.send(b"nonsense\r\n")
    assert client.answer()[0] == 400
    assert peer.rest() == b""
    assert [front.line(), front.line()] == ["began v7", "ended v7"]


def test_absolute_form_counts_and_host_does_not(serve, app):
    front = serve()
    front.ask(b"GET http://shop.localhost:81/p?q HTTP/1.1\r\nHost: nobody\r\n\r\n")
    first, fields = app.accept().head()
    assert (first, fields["host"], fields["x-forwarded-port"]) == ("GET /p?q HTTP/1.1", "shop.localhost:81", "81")
    front.ask(b"OPTIONS * HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    assert app.accept().head()[0] == "OPTIONS * HTTP/1.1"


def test_empty_lines_before_a_request(serve):
    assert serve().ask(b"\r\n\r\n" + GET.replace(b"shop", b"no")).answer()[0] == 404


def test_a_client_that_says_nothing_is_left(serve):
    front = serve(header=0.2)
    assert front.client().rest() == b""


def test_a_head_that_does_not_end_is_408_however_often_a_byte_comes(serve):
    client = serve(header=0.5).ask(b"GET / HTTP/1.1\r\n")
    client.socket.settimeout(0.05)
    for _ in range(200):
        try:
            client.send(b"X: y\r\n")
            client.kept = client.socket.recv(1 << 16)
        except TimeoutError:
            continue
        break
    client.socket.settimeout(20)
    assert client.answer()[0] == 408


def test_an_idle_connection_is_closed_and_not_answered(serve):
    client = serve(idle=0.2).ask(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n")
    assert client.answer()[0] == 404
    assert client.rest() == b""


def test_a_body_that_does_not_come_is_408(serve, app):
    front = serve(client=0.3)
    client = front.ask(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 10\r\n\r\nabc")
    peer = app.accept()
    peer.until(b"abc")
    assert client.answer()[0] == 408
    assert peer.rest() == b""
    assert [front.line(), front.line()] == ["began v7", "ended v7"]


def test_too_many_connections(serve):
    front = serve(connections=1)
    kept = front.client()
    kept.send(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n")
    assert kept.answer()[0] == 404
    other = front.client()
    try:
        assert other.rest() == b""
    except ConnectionResetError:
        pass
    kept.send(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n")
    assert kept.answer()[0] == 404
