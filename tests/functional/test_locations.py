"""Where apps answer: several below one host name, with and without www., for names that nobody has; and not at all, on purpose."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

import pytest

from .session import SMALL, App, Server, eventually, hello
from .test_processes import PORT

TELL = """\
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    told = [environ["SCRIPT_NAME"], environ["PATH_INFO"], os.environ["APP_LOCATION"]]
    return ["|".join(told).encode("latin-1")]
"""


def telling(locations: str, more: str = "") -> dict[str, str]:
    """The files of an application that says what it was told of where it is."""
    return {
        "app.yaml": f"platform: python, wsgi\napp: tell:application\nlocations: {locations}\n{more}",
        "tell.py": TELL,
    }


def deployed(server: Server, name: str, files: Mapping[str, str]) -> App:
    app = server.app(name)
    app.commit(name, files)
    app.push().ok()
    return app


@pytest.fixture(scope="module")
def blog(server: Server) -> App:
    """It answers below example.com/blog; `top` answers at example.com, and `deep` below a part of the blog."""
    deployed(server, "top", telling("example.com"))
    deployed(server, "deep", {"app.yaml": "platform: static\nlocations: example.com/blog/old\n", "static/a.txt": "old"})
    more = "services: public_files\nprocesses:\n  api: {run: api.py api, path: /api}\n"
    files = {**telling("example.com/blog", more), "api.py": PORT, "static/a.txt": "a", "static/dir/index.html": "dir"}
    app = server.app("blog")
    app.commit("Blog", files)
    assert f"http://example.com:{server.http_port}/blog/" in app.push().ok().text
    return app


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/", "|/|example.com"),
        ("/blogger", "|/blogger|example.com"),
        ("/BLOG/x", "|/BLOG/x|example.com"),
        ("/blog/", "/blog|/|example.com/blog"),
        ("/blog/2026/x%20y?z=1", "/blog|/2026/x y|example.com/blog"),
        ("/bl%6fg//x", "/blog|/x|example.com/blog"),
        ("/x/../blog/%C3%BC", "/blog|/ü|example.com/blog"),
        ("/blog/older", "/blog|/older|example.com/blog"),
        ("/blog/a.txt", "a"),
        ("/blog/old/a.txt", "old"),
        ("/blog/dir/", "dir"),
    ],
)
def test_the_longest_path_says_which_app_answers(server: Server, blog: App, path: str, told: str) -> None:
    answer = server.get("example.com", path)
    assert (answer.status, answer.text) == (200, told)


def test_a_process_and_stored_files_are_below_it(server: Server, blog: App) -> None:
    assert server.get("example.com", "/blog/api/x?y=1").text == "api /api/x?y=1 v1"
    public = server.home / "node/var/lib/apps/blog/public_files"
    (public / "up.txt").write_text("stored")
    assert server.get("example.com", "/blog/up.txt").text == "stored"


def test_a_path_and_a_directory_without_their_slash_lead_to_it(server: Server, blog: App) -> None:
    answer = server.get("example.com", "/blog?x=1")
    assert (answer.status, answer.headers["Location"]) == (308, "/blog/?x=1")
    answer = server.get("example.com", "/blog/dir?x=1")
    assert (answer.status, answer.headers["Location"]) == (302, "/blog/dir/?x=1")


def test_nobody_else_says_where_an_app_is(server: Server, blog: App) -> None:
    for name in ("X-Forwarded-Prefix", "SCRIPT_NAME", "Script-Name", "X_Forwarded_Prefix"):
        assert server.get("example.com", "/x", {name: "/evil"}).text == "|/x|example.com"
        assert server.get("example.com", "/blog/x", {name: "/evil"}).text == "/blog|/x|example.com/blog"


def test_its_own_name_and_a_kept_release_have_no_path(server: Server, blog: App) -> None:
    assert blog.says() == "|/|example.com/blog"
    assert server.get("v1.blog.localhost", "/x").text == "|/x|example.com/blog"


def test_a_location_that_another_app_has_is_refused(server: Server, blog: App) -> None:
    other = server.app("other")
    other.commit("Other", telling("example.com/blog"))
    assert other.push().refused("example.com/blog belongs to blog; take it out of the locations in app.yaml")
    other.commit("Other", telling("top.localhost/other"))
    assert other.push().refused("top.localhost/other is a name that the server gives itself")


def test_the_name_with_www_leads_to_the_one_without_and_back(server: Server, blog: App) -> None:
    deployed(server, "named", telling("www.example.org"))
    for host, path, where in [
        ("www.example.com", "/a%20b?c", "//example.com/a%20b?c"),
        ("www.example.com:8080", "/blog/x", "//example.com:8080/blog/x"),
        ("example.org", "/", "//www.example.org/"),
        ("www.top.localhost", "/", "//top.localhost/"),
    ]:
        answer = server.get(host, path)
        assert (answer.status, answer.headers["Location"]) == (308, where)
    assert server.get("www.example.org").text == "|/|www.example.org"
    deployed(server, "own", telling("www.example.com"))
    assert server.get("www.example.com", "/x").text == "|/x|www.example.com"
    assert server.get("example.com", "/x").text == "|/x|example.com"


def test_a_default_app_answers_for_names_that_nobody_has(server: Server, blog: App) -> None:
    assert server.get("nobody.example.net").status == 404
    environments = "environments: {production: {default_app: catch}, staging: {default_app: blog}}\n"
    with server.settings(SMALL + environments):
        catch = server.app("catch")
        catch.commit("Catch", hello("caught"))
        said = catch.push().ok().text
        assert "http://*" not in said
        assert server.get("nobody.example.net").text == "caught"
        assert server.get("www.blog.localhost", "/x").status == 308
        assert blog.push("staging", "master").refused("catch answers for all other names there; take default_app out")
        assert "http://catch.localhost" in server.ssh("apps").ok().out
    with server.settings(SMALL + "environments: {production: {default_app: blog}, staging: {}}\n"):
        blog.commit("Again", {"again.txt": ""})
        assert blog.push().refused("until its next deploy; gitdeploy.yaml says so no more: redeploy catch")
        server.ssh("redeploy", "catch").ok()
        assert server.get("nobody.example.net").status == 404 and catch.says() == "caught"


def test_maintenance_outlasts_deploys_and_restarts(server: Server, shop: App) -> None:
    shop.commit("One", hello("one"))
    shop.push().ok()
    assert server.ssh("maintenance", shop.name).ok().out == "off\n"
    said = server.ssh("maintenance:on", shop.name).ok().out
    assert re.fullmatch(rf"production/{shop.name} is out of service: .*, until maintenance:off {shop.name}\n", said)
    answer = shop.get(headers={"Accept": "text/html"})
    assert answer.status == 503 and "Retry-After" not in answer.headers and "is out of service" in answer.text
    shop.commit("Two", hello("two"))
    shop.push().ok()
    assert [server.get(host).status for host in (f"{shop.name}.localhost", f"v1.{shop.name}.localhost")] == [503, 503]
    server.end(signal.SIGTERM)
    server.start()
    eventually("it is back", lambda: shop.get().status == 503, 30)
    assert server.ssh("maintenance", shop.name).ok().out == "on\n"
    assert f"{shop.name} is out of service" in server.ssh("ps", shop.name).ok().out
    assert server.ssh("maintenance:off", shop.name).ok().out == f"production/{shop.name} is in service\n"
    eventually("it answers", lambda: shop.get().status == 200, 30)
    assert shop.says() == "two"


def test_who_has_no_app_is_told_so(server: Server) -> None:
    assert "there is no app 'nothing'" in server.ssh("maintenance:on", "nothing").text
