"""docs/wordpress.rst, word for word: Debian's WordPress on MariaDB, with its uploads in public_files, on a real node."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
import zlib

import pytest

from .developer import Developer
from .visitor import Browser

PASSWORD = "apples and pears and 3 plums"
UPLOADS = "var/lib/apps/sampleblog/public_files/wp-content/uploads"


class Blog(Developer):
    document = "wordpress.rst"


class Author(Browser):
    """Somebody who writes in WordPress, with its forms and its REST API."""

    def install(self) -> None:
        form = {
            "weblog_title": "Fruit", "user_name": "alice", "admin_password": PASSWORD, "admin_password2": PASSWORD,
            "pw_weak": "on", "admin_email": "alice@example.com", "blog_public": "1", "language": "",
        }  # fmt: skip
        page = self.post("/wp-admin/install.php?step=2", form, form="/wp-admin/install.php?step=1")
        assert page.status == 200 and "Success!" in page.text, page.text

    def log_in(self, below: str = "") -> None:
        self.cookies.clear()
        done = self.post(f"{below}/wp-login.php", {"log": "alice", "pwd": PASSWORD, "testcookie": "1"})
        assert (done.status, done.headers["Location"]) == (302, f"http://{self.host}{below}/wp-admin/"), done.text

    def call(self, method: str, path: str, body: bytes = b"", kind: str = "application/json"):
        """Ask the REST API; returns what it made, or has."""
        nonce = self.get("/wp-admin/admin-ajax.php?action=rest-nonce").text
        asked = f"/wp-json/wp/v2/{path}{'&' if '?' in path else '?'}_wpnonce={nonce}"
        answer = self.ask(method, asked, body, kind)
        assert answer.status in (200, 201), answer.text
        return json.loads(answer.text)

    def write(self, title: str):
        told = {"title": title, "content": "Apples, and pears.", "status": "publish"}
        return self.call("POST", "posts", json.dumps(told).encode())

    def upload(self, name: str, content: bytes):
        head = f'--part\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
        return self.call(
            "POST", "media", head.encode() + content + b"\r\n--part--\r\n", "multipart/form-data; boundary=part"
        )


def png(width: int, height: int) -> bytes:
    """A picture, in greys."""
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(width)) for y in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


PICTURE = png(400, 320)


@pytest.fixture(scope="module")
def blog(machines, nodes):
    developer = Blog(machines, nodes(names=["blog1"])[0])
    try:
        developer.begin()
        for title in ("The tree", "Settings", "Deploy"):
            developer.walk(title)
        yield developer
    finally:
        developer.close()


@pytest.fixture(scope="module")
def author(blog):
    """WordPress is installed, and somebody is logged in."""
    author = Author(blog.node.address, 80, "sampleblog.localhost")
    first = author.get("/")
    assert (first.status, first.headers["Location"]) == (302, "http://sampleblog.localhost/wp-admin/install.php")
    author.install()
    author.log_in()
    saved = author.post("/wp-admin/options-permalink.php", {"permalink_structure": "/%year%/%postname%/"})
    assert "Permalink structure updated." in author.get(path(saved.headers["Location"])).text
    return author


@pytest.fixture(scope="module")
def visitor(blog):
    """Somebody without cookies."""
    return Browser(blog.node.address, 80, "sampleblog.localhost")


@pytest.fixture(scope="module")
def post(author):
    return author.write("Fruit of the season")


@pytest.fixture(scope="module")
def picture(author):
    return author.upload("plum.png", PICTURE)


def path(url: str) -> str:
    """
    >>> path("http://sampleblog.localhost/2026/plum/")
    '/2026/plum/'
    """
    return url.removeprefix("http://sampleblog.localhost")


def is_shown(visitor: Browser, picture) -> bool:
    """Whether the web server sends the upload as the file that it is, without asking PHP."""
    shown = visitor.get(path(picture["source_url"]))
    if shown.status != 200:
        return False
    assert shown.body == PICTURE and shown.headers["Content-Type"] == "image/png"
    assert "ETag" in shown.headers and shown.headers["X-Content-Type-Options"] == "nosniff"
    return True


def test_a_post_has_an_address_without_a_file(post, visitor):
    assert re.fullmatch(r"/\d{4}/fruit-of-the-season/", path(post["link"]))
    assert "Apples, and pears." in visitor.get(path(post["link"])).text
    assert "Fruit of the season" in visitor.get("/").text
    nothing = visitor.get("/nothing/of/it")
    assert nothing.status == 404 and "Page not found" in nothing.text


def test_an_upload_is_a_file_of_the_web_server(picture, visitor, blog):
    assert is_shown(visitor, picture)
    stored = blog.node.root / UPLOADS / path(picture["source_url"]).removeprefix("/wp-content/uploads/")
    assert stored.read_bytes() == PICTURE
    smaller = picture["media_details"]["sizes"]["thumbnail"]
    assert (smaller["width"], smaller["height"]) == (150, 150)  # php-gd made it
    assert visitor.get(path(smaller["source_url"])).body.startswith(b"\x89PNG")


def test_its_own_files(author, visitor):
    style = visitor.get("/wp-content/themes/twentytwentythree/style.css")
    assert style.status == 200 and style.headers["Content-Type"].startswith("text/css") and "ETag" in style.headers
    assert visitor.get("/wp-includes/js/underscore.min.js").headers["Content-Type"].startswith("application/javascript")
    assert visitor.get("/wp-admin").status in (301, 302)
    assert "/wp-login.php?redirect_to=" in visitor.get("/wp-admin/").headers["Location"]
    assert "Dashboard" in author.get("/wp-admin/").text
    assert author.get("/wp-admin/plugins.php").status == 200 and author.get("/wp-admin/post-new.php").status == 200


@pytest.mark.parametrize(
    "place", ["/wp-config.php", "/../wp-config.php", "/app.yaml", "/jobs/cron.sh", "/wp-includes/version.php"]
)
def test_no_source_is_shown(author, visitor, place):
    assert not re.search("<\\?php|DB_PASSWORD|platform:|exec php", visitor.get(place).text)


def test_nothing_uploaded_is_run(author, picture, visitor, blog):
    refused = author.ask("POST", "/wp-json/wp/v2/media", b"", "application/json")
    assert refused.status in (401, 403)
    evil = blog.node.root / UPLOADS / "evil.php"
    evil.write_text("<?php echo 'run ', 6 * 7;")
    evil.chmod(0o644)
    for asked in ("evil.php", "evil.php/x", "evil.php/x.png", "%65vil.php"):
        answer = visitor.get(f"/wp-content/uploads/{asked}")
        assert answer.status == 404 and "run 42" not in answer.text and "6 * 7" not in answer.text
    disguised = blog.node.root / UPLOADS / "disguised.png"
    disguised.write_bytes(PICTURE + b"<?php echo 'run ', 6 * 7;")
    disguised.chmod(0o644)
    assert visitor.get("/wp-content/uploads/disguised.png").body == disguised.read_bytes()
    assert "run 42" not in visitor.get("/wp-content/uploads/disguised.png/x.php").text


def test_a_large_upload_arrives_whole(author, visitor):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("noise", random.Random(1).randbytes(40_000_000))
    made = author.upload("noise.zip", archive.getvalue())
    assert visitor.get(path(made["source_url"])).body == archive.getvalue()


def test_what_is_due_is_done(author, blog):
    """What WordPress has to do after a post was published is noted down, and done by the job of app.yaml."""
    author.write("Pears")
    blog.node.ssh("systemctl", "start", "cron-sampleblog_wordpress@v1.service")
    noted = "SELECT COUNT(*) FROM wp_postmeta WHERE meta_key = '_encloseme'"
    assert blog.node.ssh("mariadb", "-BN", "sampleblog", "-e", noted).strip() == "0"


def test_a_release_keeps_what_was_written(author, post, picture, visitor, blog):
    assert "Pushed with git." not in visitor.get("/").text
    blog.walk("The next version")
    assert "Pushed with git." in visitor.get("/").text
    assert "Apples, and pears." in visitor.get(path(post["link"])).text and is_shown(visitor, picture)
    assert "Dashboard" in author.get("/wp-admin/").text  # whoever was logged in is


def test_a_backup_has_rows_and_uploads(author, post, picture, visitor, blog):
    blog.walk("A backup")
    author.call("DELETE", f"posts/{post['id']}")
    author.call("DELETE", f"media/{picture['id']}?force=true")
    assert visitor.get(path(post["link"])).status == 404 and not is_shown(visitor, picture)
    blog.walk("What was deleted")
    assert "Apples, and pears." in visitor.get(path(post["link"])).text and is_shown(visitor, picture)


def test_below_a_path_of_another_host(author, post, picture, blog):
    description = blog.directory / "app.yaml"
    description.write_text(description.read_text() + "locations: fruit.example.com/blog\n")
    blog.done("git commit -q -a -m Move && git push deploy master")
    elsewhere = Author(blog.node.address, 80, "fruit.example.com")
    found = elsewhere.get(f"/blog{path(post['link'])}")
    assert found.status == 200 and "Apples, and pears." in found.text
    assert f'href="http://fruit.example.com/blog{path(post["link"])}"' in found.text
    assert "sampleblog.localhost" not in found.text
    assert elsewhere.get(f"/blog{path(picture['source_url'])}").body == PICTURE
    assert elsewhere.get("/blog/wp-content/themes/twentytwentythree/style.css").status == 200
    assert (
        elsewhere.get("/blog/wp-admin/").headers["Location"].startswith("http://fruit.example.com/blog/wp-login.php?")
    )
    elsewhere.log_in("/blog")
    assert "Dashboard" in elsewhere.get("/blog/wp-admin/").text
