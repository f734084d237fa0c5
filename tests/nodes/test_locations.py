"""Where apps answer on real nodes: several below one host name, www., names that nobody has; and not at all, on purpose."""

from __future__ import annotations

import pytest

from ..functional.session import PYTHON, eventually, hello
from ..functional.test_locations import telling
from ..functional.test_processes import PORT
from .visitor import get, says

ASGI = """\
async def application(scope, receive, send):
    if scope["type"] == "http":
        text = "|".join([scope["root_path"], scope["path"], scope["raw_path"].decode()])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})
"""
PHP = (
    "<?php foreach (['SCRIPT_NAME', 'REQUEST_URI', 'PATH_INFO', 'PHP_SELF'] as $name) echo $_SERVER[$name] ?? '', '|';"
)
HOST = "example.com"


@pytest.fixture(scope="module")
def web1(web):
    return web[0]


@pytest.fixture(scope="module")
def blog(server, web):
    """It answers below example.com/blog, l-top at example.com, and l-deep below a part of the blog."""
    old = {"app.yaml": f"platform: static\nlocations: {HOST}/blog/old\n", "static/a.txt": "old"}
    for name, files in [("l-top", telling(HOST)), ("l-deep", old)]:
        app = server.app(name)
        app.commit(name, files)
        app.push().ok()
    more = "processes:\n  api: {run: api.py api, path: /api}\n"
    files = {**telling(f"{HOST}/blog", more), "api.py": PORT, "static/a.txt": "a", "static/dir/index.html": "dir"}
    app = server.app("l-blog")
    app.commit("Blog", files)
    assert f"http://{HOST}/blog/" in app.push().ok().text
    return app


def test_the_longest_path_says_which_app_answers(blog, web, server):
    for node in web:
        for path, told in [
            ("/", f"|/|{HOST}"),
            ("/blogger", f"|/blogger|{HOST}"),
            ("/BLOG/x", f"|/BLOG/x|{HOST}"),
            ("/blog/", f"/blog|/|{HOST}/blog"),
            ("/blog/2026/x%20y?z=1", f"/blog|/2026/x y|{HOST}/blog"),
            ("/bl%6fg//x", f"/blog|/x|{HOST}/blog"),
            ("/x/../blog/%C3%BC", f"/blog|/ü|{HOST}/blog"),
            ("/blog/a%0Ab", f"/blog|/a\nb|{HOST}/blog"),
            ("/blog/older", f"/blog|/older|{HOST}/blog"),
            ("/blog/a.txt", "a"),
            ("/blog/old/a.txt", "old"),
            ("/blog/dir/", "dir"),
            ("/blog/api/x?y=1", "api /api/x?y=1 v1"),
            ("/blog/.gitdeploy/release", "403"),
            ("/blog/.secret", "404"),
        ]:
            assert (path, says(node, HOST, path)) == (path, told)


def test_stored_files_are_below_it(server, blog, web1):
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("nodes: [web1, web2]", "nodes: [web1]")):
        app = server.app("l-public")
        app.commit("Public", telling(f"{HOST}/public", "services: public_files\n"))
        app.push().ok()
    (web1.root / "var/lib/apps/l-public/public_files/up.txt").write_text("stored")
    assert (
        says(web1, HOST, "/public/up.txt") == "stored" and says(web1, HOST, "/public/x") == f"/public|/x|{HOST}/public"
    )


def test_a_path_and_a_directory_without_their_slash_lead_to_it(blog, web1):
    answer = get(web1, HOST, "/blog?x=1")
    assert (answer.status, answer.headers["Location"]) == (308, "/blog/?x=1")
    assert answer.headers["Cache-Control"] == "no-store"
    answer = get(web1, HOST, "/blog/dir?x=1")
    assert (answer.status, answer.headers["Location"]) == (302, "/blog/dir/?x=1")


def test_nobody_else_says_where_an_app_is(blog, web1):
    for name in ("X-Forwarded-Prefix", "SCRIPT_NAME", "Script-Name", "X_Forwarded_Prefix"):
        assert get(web1, HOST, "/x", {name: "/evil"}).text == f"|/x|{HOST}"
        assert get(web1, HOST, "/blog/x", {name: "/evil"}).text == f"/blog|/x|{HOST}/blog"


def test_its_own_name_and_a_kept_release_have_no_path(blog, web1):
    assert says(web1, blog) == f"|/|{HOST}/blog"
    assert says(web1, "v1.l-blog.localhost", "/x") == f"|/x|{HOST}/blog"


def test_asgi_and_php_have_their_paths(blog, web1, server):
    asgi = {"app.yaml": f"platform: python, asgi\napp: tell:application\nlocations: {HOST}/asgi\n", "tell.py": ASGI}
    php = {"app.yaml": f"platform: php\nlocations: {HOST}/php\n", "static/index.php": PHP, "static/a.css": "php"}
    for name, files in [("l-asgi", asgi), ("l-php", php)]:
        app = server.app(name)
        app.commit(name, files)
        app.push(limit=300).ok()
    assert says(web1, HOST, "/asgi/x%20y") == "/asgi|/asgi/x y|/asgi/x%20y"
    assert says(web1, "l-asgi.localhost", "/x") == "|/x|/x"
    assert says(web1, HOST, "/php/?x") == "/php/index.php|/php/?x||/php/index.php|"
    assert says(web1, HOST, "/php/index.php/y").startswith("/php/index.php|/php/index.php/y|/y|")
    for_ever = f"/php/.static/{app.live()}"
    assert says(web1, HOST, f"{for_ever}/a.css") == says(web1, "l-php.localhost", f"{for_ever}/a.css") == "php"
    assert "<?php" not in get(web1, HOST, f"{for_ever}/index.php").text
    assert "<?php" not in get(web1, "l-php.localhost", f"{for_ever}/index.php/x").text
    assert says(web1, "l-php.localhost", "/index.php") == "/index.php|/index.php||/index.php|"


def test_a_location_that_another_app_has_is_refused_by_the_node_itself(blog, web1, server):
    other = server.app("l-other")
    other.commit("Other", telling(f"{HOST}/blog"))
    assert other.push().refused(f"{HOST}/blog belongs to l-blog; take it out of the locations in app.yaml")
    stray = web1.root / "etc/nginx/gitdeploy/zz-stray.map"
    stray.write_text(f"{HOST}/taken zz-stray;\n")  # two that are pushed at once would come to this
    try:
        other.commit("Other", telling(f"{HOST}/taken"))
        assert other.push().refused(f"web1: nginx does not take the configuration of l-other: {HOST}/taken belongs to")
    finally:
        stray.unlink()


def test_the_name_with_www_leads_to_the_one_without_and_back(blog, web1, server):
    named = server.app("l-named")
    named.commit("Named", telling("www.example.org"))
    named.push().ok()
    for host, path, where in [
        (f"www.{HOST}", "/a%20b?c", f"http://{HOST}/a%20b?c"),
        (f"www.{HOST}:8080", "/blog/x", f"http://{HOST}:8080/blog/x"),
        ("example.org", "/", "http://www.example.org/"),
    ]:
        answer = get(web1, host, path)
        assert (answer.status, answer.headers["Location"]) == (308, where)
        assert answer.headers["Cache-Control"] == "no-store"
    assert says(web1, "www.example.org") == "|/|www.example.org"
    assert says(web1, "nobody.example.net") == "404"


def test_a_node_with_files_of_an_earlier_set_up_has_those_of_this_one(blog, web1):
    """setup-node runs this before nginx reads its new files: it had a server for each app."""
    sites = web1.root / "etc/nginx/gitdeploy"
    before = (sites / "l-blog.map").read_text()
    (sites / "l-blog.map").rename(sites / "l-blog.conf")
    web1.ssh("/usr/lib/gitdeploy/locate")
    assert (sites / "l-blog.map").read_text() == before and not list(sites.glob("*.conf"))


def test_a_default_app_answers_for_names_that_nobody_has(blog, web1, server):
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("production: {", "production: {default_app: l-catch, ")):
        catch = server.app("l-catch")
        catch.commit("Catch", {**hello("caught"), "app.yaml": PYTHON})
        catch.push().ok()
        assert says(web1, "nobody.example.net", "/x") == "caught"
        assert get(web1, f"www.{HOST}").status == 308
    server.ssh("redeploy", "l-catch").ok()
    assert says(web1, "nobody.example.net") == "404" and says(web1, catch) == "caught"


def test_maintenance_outlasts_deploys_and_a_boot(shop, web):
    shop.commit("One", hello("one"))
    shop.push().ok()
    shop.server.ssh("maintenance:on", shop.name).ok()
    for node in web:
        answer = get(node, f"{shop.name}.localhost", headers={"Accept": "text/html"})
        assert answer.status == 503 and "Retry-After" not in answer.headers and "is out of service" in answer.text
    shop.commit("Two", hello("two"))
    shop.push().ok()
    assert [says(node, shop) for node in web] == ["503", "503"]
    web[1].cycle()
    eventually("it is up", lambda: shop.server.ssh("ps", shop.name).ok().out.count("v2 is live") == 2, 60)
    assert [says(node, shop) for node in web] == ["503", "503"]
    shop.server.ssh("maintenance:off", shop.name).ok()
    eventually("it answers", lambda: [says(node, shop) for node in web] == ["two", "two"], 60)
