"""Files that nginx serves: right after every switch, for browsers and caches, with nothing shown that is not to be shown."""

from __future__ import annotations

import gzip
import threading

import pytest

from ..functional.session import hello
from ..functional.test_static_url import FOR_EVER, telling
from .visitor import get

FILES = {
    "static/index.html": "<p>home</p>",
    "static/shop.css": "p { color: red }",
    "static/shop.1f3a9c07.js": "let shop",
    "static/module.mjs": "export {}",
    "static/site.webmanifest": "{}",
    "static/apple.png": b"\x89PNG",
    "static/big.css": "p {}" * 100,
    "static/big.css.gz": gzip.compress(b"p {}" * 100, mtime=0),
    "static/big.css.br": b"brotli, as far as nginx looks",
    "static/help/index.html": "<p>help</p>",
    "static/help/page.html": "<p>page</p>",
    "static/empty/file.txt": "no index here",
    "static/x.php": "<?php",
    "static/.hidden": "hidden",
    "static/.secret": "hidden",
    "static/.git-not/config": "hidden",
    "static/help/.htaccess": "hidden",
    "static/.well-known/security.txt": "Contact: mailto:a@example.com",
    "static/name with ü and space.txt": "named",
}


@pytest.fixture(scope="module")
def site(server, web):
    """An app that answers what no file does."""
    app = server.app("site")
    app.commit("A site", {**hello("app"), **FILES})
    app.push().ok()
    return app


def ask(site, node, path, **headers):
    return get(node, f"{site.name}.localhost", path, {name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", "<p>home</p>"),
        ("/shop.css", "text/css; charset=utf-8", "p { color: red }"),
        ("/shop.css?v=2", "text/css; charset=utf-8", "p { color: red }"),
        ("/module.mjs", "text/javascript; charset=utf-8", "export {}"),
        ("/site.webmanifest", "application/manifest+json", "{}"),
        ("/help/", "text/html; charset=utf-8", "<p>help</p>"),
        ("/help/page.html", "text/html; charset=utf-8", "<p>page</p>"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8", "Contact: mailto:a@example.com"),
        ("/name%20with%20%C3%BC%20and%20space.txt", "text/plain; charset=utf-8", "named"),
        ("/anything/else", "text/plain", "app"),
        ("/empty/", "text/plain", "app"),
        ("/shop.css/", "text/plain", "app"),
    ],
)  # fmt: skip
def test_a_path_is_a_file_with_its_type_or_the_applications(site, web, path, kind, body):
    for node in web:
        answer = ask(site, node, path)
        assert (answer.status, answer.headers["Content-Type"], answer.text) == (200, kind, body)


def test_a_directory_without_its_slash_leads_to_it_at_the_same_host_and_port(site, web):
    answer = ask(site, web[0], "/help?x=1")
    assert (answer.status, answer.headers["Location"]) == (302, "/help/?x=1")


@pytest.mark.parametrize(
    "path",
    [
        "/.secret", "/.git-not/config", "/help/.htaccess", "/.gitdeploy/pages/404.txt", "/help/../.secret", "/%2esecret",
        "/.well-known/../.secret",
    ],
)  # fmt: skip
def test_what_begins_with_a_dot_is_nobodys_business(site, web, path):
    answer = ask(site, web[0], path)
    assert answer.status == 404 and "hidden" not in answer.text


def test_nothing_is_listed(site, web):
    assert "file.txt" not in ask(site, web[0], "/empty/").text
    assert ask(site, web[0], "/empty").text == "app"


def test_nothing_outside_of_the_directory_is_reached(site, web):
    for path in (
        "/../hello.py",
        "/..%2fhello.py",
        "/%2e%2e/hello.py",
        "/help/..%2f..%2fhello.py",
        "//hello.py",
        "/../settings",
    ):
        answer = ask(site, web[0], path)
        assert (
            answer.status in (200, 400, 404) and "def application" not in answer.text and "environ" not in answer.text
        )


def test_caches_ask_each_time_but_for_names_with_a_hash(site, web):
    assert ask(site, web[0], "/shop.css").headers["Cache-Control"] == "no-cache"
    assert ask(site, web[0], "/").headers["Cache-Control"] == "no-cache"
    assert ask(site, web[0], "/shop.1f3a9c07.js").headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Last-Modified" not in ask(site, web[0], "/shop.css").headers
    assert ask(site, web[0], "/shop.css").headers["X-Content-Type-Options"] == "nosniff"


def test_who_has_it_already_is_told_so(site, web):
    tags = {ask(site, node, "/shop.css").headers["ETag"] for node in web}
    [tag] = tags
    for node in web:
        answer = ask(site, node, "/shop.css", If_None_Match=tag)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    assert ask(site, web[0], "/shop.css", If_None_Match='"other"').status == 200
    assert ask(site, web[0], "/shop.css", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT").status == 200


def test_a_part_of_a_file(site, web):
    answer = ask(site, web[0], "/shop.css", Range="bytes=4-8")
    assert (answer.status, answer.text, answer.headers["Content-Range"]) == (206, "color", "bytes 4-8/16")


@pytest.mark.parametrize(("accepts", "encoding"), [("gzip", "gzip"), ("br", "br"), ("gzip, br", "br"), ("", None)])
def test_a_compressed_file_is_sent_to_whoever_takes_it(site, web, accepts, encoding):
    answer = ask(site, web[0], "/big.css", Accept_Encoding=accepts)
    assert (
        answer.headers.get("Content-Encoding") == encoding
        and answer.headers["Content-Type"] == "text/css; charset=utf-8"
    )
    assert answer.headers["Vary"] == "Accept-Encoding"
    name = {"gzip": "static/big.css.gz", "br": "static/big.css.br", None: "static/big.css"}[encoding]
    content = FILES[name]
    assert answer.body == (content.encode() if isinstance(content, str) else content)


def test_other_methods_are_the_applications(site, web):
    answer = get(web[0], f"{site.name}.localhost", "/shop.css", method="POST")
    assert (answer.status, answer.text) == (200, "app")
    answer = get(web[0], f"{site.name}.localhost", "/shop.css", method="HEAD")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "16", b"")


def test_an_etag_is_the_contents_on_every_node_and_after_a_rollback(shop, web):
    def tags(path):
        return {get(node, f"{shop.name}.localhost", path).headers["ETag"] for node in web}

    shop.commit("One", {"app.yaml": "platform: static\n", "static/a.txt": "one", "static/b.txt": "same"})
    shop.push().ok()
    [one], [same] = tags("/a.txt"), tags("/b.txt")
    shop.commit("Two", {"static/a.txt": "two"})  # of the same size, perhaps within the same second
    shop.push().ok()
    [two] = tags("/a.txt")
    assert two != one and tags("/b.txt") == {same}
    assert get(web[0], f"{shop.name}.localhost", "/a.txt", {"If-None-Match": one}).text == "two"
    shop.push("-f", "deploy", "HEAD~1:master").ok()
    assert tags("/a.txt") == {one} and tags("/b.txt") == {same}
    shop.commit("Three", {"static/c.txt": "one"})
    shop.push("-f", "deploy", "master").ok()
    assert tags("/c.txt") == {one}


def test_a_switch_never_mixes_what_belongs_together(shop, web):
    """A page and the application that made it, over one connection after the other, while five versions go live."""

    def version(number):
        return {**hello(str(number)), "static/number.txt": str(number)}

    shop.commit("0", version(0))
    shop.push().ok()
    wrong, over = [], threading.Event()

    def visit(node):
        asked = 0
        latest = 0
        while not over.is_set() or asked < 100:
            for path in ("/", "/number.txt"):
                answer = get(node, f"{shop.name}.localhost", path)
                number = int(answer.text) if answer.status == 200 and answer.text.isdigit() else -1
                if number < latest:
                    wrong.append((str(node), path, latest, answer.status, answer.text))
                latest = max(number, latest)
            asked += 1

    visitors = [threading.Thread(target=visit, args=[node]) for node in web]
    for one in visitors:
        one.start()
    try:
        for number in range(1, 6):
            shop.commit(str(number), version(number))
            shop.push().ok()
    finally:
        over.set()
        for one in visitors:
            one.join()
    assert wrong == []


def test_each_version_has_files_that_are_for_ever_at_every_location(server, web):
    app = server.app("forever")
    where = []
    for color in ("red", "blue"):
        commit = app.commit(color, {**telling(color, "locations: forever.example.org, forever.example.com/blog\n")})
        app.push().ok()
        where.append(f"/blog/.static/{commit}/")
    for node in web:
        for host, prefix in [("forever.localhost", ""), ("forever.example.org", ""), ("forever.example.com", "/blog")]:
            assert get(node, host, f"{prefix}/tell").text == where[1]
            for url, color in zip(where, ("red", "blue"), strict=True):
                answer = get(node, host, f"{url}shop.css")
                assert (answer.status, answer.text) == (200, f"p {{ color: {color} }}")
                assert answer.headers["Cache-Control"] == FOR_EVER
                assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
                tag = {"If-None-Match": answer.headers["ETag"]}
                assert get(node, host, f"{url}shop.css", tag).status == 304
        assert get(node, "forever.localhost", f"{where[0][5:]}two%20words.txt?x=1").text == "red"


@pytest.mark.parametrize(
    "path", ["nothing.css", "", "help", "help/", ".hidden", "x.php", "x%2ephp", "../tell.py", "shop.css/"]
)
def test_what_is_no_such_file_of_a_version_is_not_the_applications_turn(server, site, web, path):
    commit = site.live()
    for where in (f"/.static/{commit}/{path}", f"/.static/{'0' * 40}/shop.css"):
        answer = ask(site, web[0], where)
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")
    assert ask(site, web[0], f"/.static/{commit}/shop.css").headers["Cache-Control"] == FOR_EVER
    assert get(web[0], "site.localhost", f"/.static/{commit}/shop.css", method="POST").status == 404
