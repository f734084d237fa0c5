"""STATIC_URL: below it the files of a version are for ever, so that browsers need not ask again; and as long as it is kept."""

from __future__ import annotations

import pytest

from .session import Answer, App, Server, eventually

TELL = """\
import os
def application(environ, start_response):
    start_response("200 OK", [])
    return [os.environ["STATIC_URL"].encode()]
"""
FOR_EVER = "public, max-age=31536000, immutable"


def telling(color: str, more: str = "") -> dict[str, str]:
    """The files of an application that answers its STATIC_URL, and has a style sheet of a colour."""
    return {
        "app.yaml": f"platform: python, wsgi\napp: tell:application\nstatic: public\n{more}",
        "tell.py": TELL,
        "public/shop.css": f"p {{ color: {color} }}",
        "public/two words.txt": color,
        "public/index.html": "home",
        "public/help/index.html": "help",
        "public/.hidden": "hidden",
        "public/x.php": "<?php",
    }


def url(server: Server, host: str, path: str = "/tell") -> str:
    answer = server.get(host, path)
    assert answer.status == 200
    return answer.text


@pytest.fixture(scope="module")
def site(server: Server) -> App:
    app = server.app("site")
    app.commit("One", telling("red"))
    app.push().ok()
    return app


def test_each_version_has_its_own_files_for_as_long_as_it_is_kept(shop: App) -> None:
    urls = []
    for color in ("red", "blue"):
        commit = shop.commit(color, telling(color))
        shop.push().ok()
        urls.append(url(shop.server, f"{shop.name}.localhost"))
        assert urls[-1] == f"/.static/{commit}/"
    for where, color in zip(urls, ("red", "blue"), strict=True):
        answer = shop.get(f"{where}shop.css")
        assert (answer.status, answer.text) == (200, f"p {{ color: {color} }}")
        assert answer.headers["Cache-Control"] == FOR_EVER
        assert shop.get(f"{where}two%20words.txt?x=1").text == color
        again = shop.get(f"{where}shop.css", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
    assert "Cache-Control" not in shop.get("/shop.css").headers
    shop.server.ssh("rollback", shop.name).ok()
    assert url(shop.server, f"{shop.name}.localhost") == urls[0]
    with shop.server.settings("web: {processes: 1}\nkeep: {versions: 1, running: 0, linger: 0s}\n"):
        commit = shop.commit("green", telling("green"))
        shop.push().ok()
        eventually("it does not run any more", lambda: " v2 " not in shop.server.ssh("ps", shop.name).ok().out)
        shop.server.ssh("redeploy", shop.name).ok()  # what ran at the end of the last deploy was kept by it
        eventually("the version before is pruned", lambda: not shop.version(urls[1].split("/")[2]).exists())
    assert shop.get(f"/.static/{commit}/shop.css").status == 200
    assert gone(shop.get(f"{urls[1]}shop.css"))


@pytest.mark.parametrize(
    "path",
    [
        "nothing.css", "", "help", "help/", ".hidden", "x.php", "x%2ephp", "../tell.py", "..%2ftell.py", "shop.css/", "/shop.css",
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_not_the_applications_turn(server: Server, site: App, path: str) -> None:
    where = url(server, f"{site.name}.localhost")
    assert gone(site.get(where + path))
    assert gone(site.get(f"/.static/{'0' * 40}/shop.css"))


def gone(answer: Answer) -> bool:
    return (answer.status, answer.headers["Cache-Control"]) == (404, "no-store") and "/.static/" not in answer.text


def test_it_is_below_the_path_of_a_location_and_answers_at_its_other_names(server: Server) -> None:
    app = server.app("blog")
    commit = app.commit("Blog", telling("red", "locations: blog.example.org, example.com/blog\n"))
    app.push().ok()
    for host, path in [("example.com", "/blog/tell"), ("blog.example.org", "/tell"), ("blog.localhost", "/tell")]:
        where = url(server, host, path)
        assert where == f"/blog/.static/{commit}/"
        assert server.get(host, f"{where}shop.css").text == "p { color: red }"


def test_it_may_be_said_otherwise(shop: App) -> None:
    shop.commit("One", telling("red", "env: {STATIC_URL: /assets/}\n"))
    shop.push().ok()
    assert shop.says() == "home" and url(shop.server, f"{shop.name}.localhost") == "/assets/"
    shop.server.ssh("config:set", shop.name, "STATIC_URL=https://cdn.example.com/").ok()
    assert url(shop.server, f"{shop.name}.localhost") == "https://cdn.example.com/"
