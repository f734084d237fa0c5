"""Which app a request is for: pure."""

import doctest

import h11
import pytest

from gitdeploy.nodes import locations
from gitdeploy.nodes.locations import Found, find
from gitdeploy.web import fields

APPS = {
    "example.com": "shop",
    "example.com/blog": "blog",
    "example.com/blog/a/b": "deep",
    "www.example.org": "org",
    "only.net/x": "deep",
    "shop.localhost": "shop",
}


def found(host, target="/", apps=APPS):
    ask = fields.understand(h11.Request(method="GET", target=target, headers=[("Host", host)]))
    return find(apps, ask)


@pytest.mark.parametrize(
    ("host", "target", "expected"),
    [
        ("example.com", "/", Found("shop")),
        ("EXAMPLE.com.:8080", "/x", Found("shop")),
        ("example.com", "/blog/", Found("blog", "/blog")),
        ("example.com", "/blog/a/bc", Found("blog", "/blog")),
        ("example.com", "/blog/a/b/c", Found("deep", "/blog/a/b")),
        ("example.com", "/blog/a/b?x", b"/blog/a/b/?x"),
        ("example.com", "/blogger", Found("shop")),
        ("example.com", "/Blog/", Found("shop")),
        ("example.com", "/%62log/x", Found("blog", "/blog")),
        ("example.com", "/blog/../x", Found("shop")),
        ("v7.shop.localhost", "/blog/", Found("shop", release="v7")),
        ("v07.shop.localhost", "/", None),
        ("www.example.com:81", "/blog/x?y", b"//example.com:81/blog/x?y"),
        ("example.org", "/x", b"//www.example.org/x"),
        ("only.net", "/y", None),
        ("www.only.net", "/x/y", b"//only.net/x/y"),
        ("www.www.example.com", "/", None),
        ("nobody.net", "/", None),
        ("", "/", None),
    ],
)
def test_where_a_request_goes(host, target, expected):
    assert found(host, target) == expected


def test_the_default_app_has_what_is_left():
    apps = {**APPS, "*": "any"}
    assert found("nobody.net", "/blog/x", apps) == found("", "/", apps) == Found("any")
    assert found("www.example.com", "/", apps) == b"//example.com/" and found("example.com", "/", apps) == Found("shop")


def test_a_name_with_www_that_an_app_has_leads_nowhere_else():
    apps = {**APPS, "www.example.com": "own"}
    assert found("www.example.com", "/blog/x", apps) == Found("own")


def test_the_examples_are_true():
    results = doctest.testmod(locations)
    assert results.attempted and not results.failed
