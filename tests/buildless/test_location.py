"""What applications are told of the path that they are below."""

import doctest

import pytest

from buildless import location, request, values
from buildless.node import nginx


@pytest.mark.parametrize("module", [location, request, values, nginx], ids=lambda one: one.__name__)
def test_the_examples_are_true(module):
    results = doctest.testmod(module)
    assert results.attempted and not results.failed


def test_who_is_below_no_path_is_told_nothing():
    environ = {"SCRIPT_NAME": "", "PATH_INFO": "/x", "RAW_URI": "/x"}
    location.tell_wsgi(environ)
    assert environ == {"SCRIPT_NAME": "", "PATH_INFO": "/x", "RAW_URI": "/x"}
    scope = {"type": "websocket", "path": "/x", "headers": []}
    assert location.tell_asgi(scope) is scope


def test_a_web_socket_is_below_the_path_too():
    scope = {"type": "websocket", "path": "/ü", "raw_path": None, "headers": [(b"x-forwarded-prefix", b"/blog")]}
    told = location.tell_asgi(scope)
    assert (told["root_path"], told["path"], told["raw_path"]) == ("/blog", "/blog/ü", None)
