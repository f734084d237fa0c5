"""Which header fields pass, and which are set: the pure part."""

import doctest

import h11
import pytest

from gitdeploy.web import fields
from gitdeploy.web.pages import Page


def passed(*given: tuple[str, str], https: bool = False) -> dict[str, str]:
    request = h11.Request(method="GET", target="/", headers=[("Host", "shop.localhost"), *given])
    ask = fields.understand(request)
    assert not isinstance(ask, Page)
    out = fields.to_application(request, ask, b"192.0.2.7", https, 1234.5678)
    names = [name.lower() for name, _ in out]
    assert len(set(names)) == len(names)
    return {name.decode().lower(): value.decode() for name, value in out}


def test_what_the_client_says_about_itself_is_replaced():
    got = passed(
        ("X-Forwarded-For", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("X-Forwarded-SSL", "on"),
        ("X_Forwarded_For", "10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Request-Start", "t=1.000"),
        ("Proxy", "evil:80"),
        ("SCRIPT_NAME", "/x"),
        ("X-Forwarded-Prefix", "/x"),
    )
    assert got == {
        "host": "shop.localhost",
        "connection": "close",
        "x-forwarded-for": "192.0.2.7",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "shop.localhost",
        "x-forwarded-port": "80",
        "x-real-ip": "192.0.2.7",
        "x-request-start": "t=1234.568",
    }


def test_hop_by_hop_fields_end_here():
    got = passed(
        ("Connection", "X-Mine, Host, close"),
        ("X-Mine", "1"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "websocket"),  # not named in Connection
        ("X-Other", "2"),
    )
    assert set(got) & {"x-mine", "keep-alive", "te", "trailer", "proxy-connection", "upgrade"} == set()
    assert (got["host"], got["x-other"], got["connection"]) == ("shop.localhost", "2", "close")


def test_h2c_is_not_passed_on():
    got = passed(("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "x"))
    assert got["connection"] == "close"
    assert not {"upgrade", "http2-settings"} & set(got)


def test_an_answer_with_two_framings_has_one():
    response = h11.Response(
        status_code=200,
        headers=[("Transfer-Encoding", "chunked"), ("Content-Length", "5"), ("Connection", "x-hop"), ("X-Hop", "1")],
    )
    assert fields.to_client(response) == []


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("Shop.LocalHost", "shop.localhost", b""),
        ("shop.localhost.:80", "shop.localhost", b"80"),
        ("[::1]:8080", "[::1]", b"8080"),
        ("", "", b""),
    ],
)
def test_host(given, host, port):
    ask = fields.understand(h11.Request(method="GET", target="/", headers=[("Host", given)]))
    assert not isinstance(ask, Page)
    assert (ask.host, ask.port) == (host, port)


def test_fields_for_the_resolver():
    given = [("Host", "a"), ("Cookie", "a=1"), ("cookie", "b=2"), ("Accept", "x"), ("Accept", "y")]
    ask = fields.understand(h11.Request(method="GET", target="/", headers=given))
    assert not isinstance(ask, Page)
    assert ask.fields == {b"host": b"a", b"cookie": b"a=1; b=2", b"accept": b"x, y"}


@pytest.mark.parametrize(
    ("target", "below"),
    [
        (b"/blog/", b"/"),
        (b"/blog/a%2Fb/?x=%20&y", b"/a%2Fb/?x=%20&y"),
        (b"/blog/a?/blog/", b"/a?/blog/"),
        (b"/bl%6fg//a%3Fb/", b"/a%3Fb/"),
        (b"/x/../blog/%C3%BC%0a", b"/%C3%BC%0A"),
        (b"/blog/../blog/x", b"/x"),
    ],
)
def test_an_application_below_a_path_is_asked_for_the_rest(target, below):
    request = h11.Request(method="GET", target=target, headers=[("Host", "shop.localhost")])
    ask = fields.understand(request).below("/blog")
    assert ask.target == below
    assert (b"X-Forwarded-Prefix", b"/blog") in fields.to_application(request, ask, b"192.0.2.7", False, 1.0)
    assert fields.understand(request).below("").target == target


def test_the_examples_are_true():
    results = doctest.testmod(fields)
    assert results.attempted and not results.failed
