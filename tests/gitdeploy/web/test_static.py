"""Files: which ones, in which coding, and the conditions of RFC 9110; as clients see them."""

import gzip
import os

import pytest


@pytest.fixture
def tree(room):
    """A version's tree with files to show and files to keep."""
    static = room / "tree/static"
    for name, content in {
        "a.css": "body { color: red }" * 50,
        "sp ace.txt": "space",
        "caf\xe9.txt": "coffee",
        "docs/index.html": "<h1>docs",
        "empty/x": "x",
        ".env": "secret",
        ".git/config": "secret",
        "docs/.hidden/x": "secret",
        ".well-known/acme": "token",
    }.items():
        (static / name).parent.mkdir(parents=True, exist_ok=True)
        (static / name).write_text(content)
    (static / "a.css.gz").write_bytes(gzip.compress(b"body { color: red }" * 50))
    (room / "tree/media").mkdir()
    (room / "tree/media/in.txt").write_text("inside the tree")
    (room / "out.txt").write_text("outside")
    (static / "in.txt").symlink_to("../media/in.txt")
    (static / "out.txt").symlink_to("../../out.txt")
    (static / "out").symlink_to("../..")
    (static / "loop").symlink_to("loop")
    os.mkfifo(static / "fifo")
    return room / "tree"


@pytest.fixture
def front(serve, tree):
    """A front that shows `tree`, without an application."""
    return serve({"shop.localhost": {"static": str(tree / "static"), "root": str(tree)}})


@pytest.fixture
def get(front):
    """get(path, method, **fields): (status, fields, body)."""
    client = front.client()

    def ask(path: str, method: str = "GET", **fields: str):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        client.send(f"{method} {path} HTTP/1.1\r\nHost: shop.localhost\r\n{lines}\r\n".encode("latin-1"))
        if method == "HEAD":
            first, head = client.head()
            return int(first.split()[1]), head, b""
        return client.answer()

    return ask


def test_a_file(get, front):
    status, fields, body = get("/in.txt?v=1")
    assert (status, body) == (200, b"inside the tree")
    assert fields["content-type"] == 'text/plain; charset="utf-8"'
    assert fields["accept-ranges"] == "bytes"
    assert {"etag", "last-modified", "date"} <= set(fields)
    assert [front.line(), front.line()] == ["began v7", "ended v7"]
    status, head, _ = get("/in.txt", "HEAD")
    assert (status, head["content-length"], head["etag"]) == (200, "15", fields["etag"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sp%20ace.txt", b"space"),
        ("/caf%C3%A9.txt", b"coffee"),
        ("/docs/", b"<h1>docs"),
        ("/docs%2Findex.html", b"<h1>docs"),
        ("/.well-known/acme", b"token"),
        ("/in.txt", b"inside the tree"),
    ],
)
def test_what_is_shown(get, path, body):
    assert get(path)[::2] == (200, body)


@pytest.mark.parametrize(
    "path",
    [
        "/.env", "/%2eenv", "/.git/config", "/docs/.hidden/x", "/.well-known", "/docs/../.env", "/docs/%2e%2e/a.css",
        "/../out.txt", "/..%2f..%2fout.txt", "/out.txt", "/out/out.txt", "/loop", "/fifo", "/a.css%00", "/a.css/",
        "/a.css/x", "//a.css", "/docs//index.html", "/empty", "/empty/", "/", "/nothing", "/%ff", "/" + "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_shown(get, path):
    status, _, body = get(path)
    assert status == 404
    assert b"secret" not in body and b"outside" not in body


def test_a_directory_without_its_slash(get):
    status, fields, _ = get("/docs?a=b")
    assert (status, fields["location"]) == (302, "/docs/?a=b")


def test_without_a_root_links_must_stay_in_the_directory(serve, tree):
    front = serve({"shop.localhost": {"static": str(tree / "static")}})
    assert front.ask(b"GET /in.txt HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").answer()[0] == 404


def test_precompressed(get):
    plain = get("/a.css")[1]
    assert plain["vary"] == "Accept-Encoding" and "content-encoding" not in plain
    status, fields, body = get("/a.css", Accept_Encoding="br, gzip;q=0.5")
    assert (status, fields["content-encoding"], fields["vary"]) == (200, "gzip", "Accept-Encoding")
    assert gzip.decompress(body) == b"body { color: red }" * 50
    assert fields["content-type"].startswith("text/css")
    assert fields["etag"] != plain["etag"]
    assert "content-encoding" not in get("/a.css", Accept_Encoding="gzip;q=0, deflate")[1]
    assert get("/a.css", Accept_Encoding="gzip", If_None_Match=fields["etag"])[0] == 304
    assert get("/a.css", If_None_Match=fields["etag"])[0] == 200


def test_conditions(get):
    _, fields, _ = get("/in.txt")
    etag, changed = fields["etag"], fields["last-modified"]
    status, head, body = get("/in.txt", If_None_Match=etag)
    assert (status, head["etag"], body) == (304, etag, b"")
    assert get("/in.txt", If_None_Match=f'"x", W/{etag}')[0] == 304
    assert get("/in.txt", If_None_Match="*")[0] == 304
    assert get("/in.txt", If_None_Match='"x"', If_Modified_Since=changed)[0] == 200
    assert get("/in.txt", If_Modified_Since=changed)[0] == 304
    assert get("/in.txt", If_Modified_Since="Thu, 01 Jan 2015 00:00:00 GMT")[0] == 200
    assert get("/in.txt", "HEAD", If_None_Match=etag)[0] == 304


def test_ranges(get):
    etag = get("/in.txt")[1]["etag"]
    for asked, answered, body in (
        ("0-5", "bytes 0-5/15", b"inside"),
        ("7-", "bytes 7-14/15", b"the tree"),
        ("-4", "bytes 11-14/15", b"tree"),
        ("0-0", "bytes 0-0/15", b"i"),
        ("14-14", "bytes 14-14/15", b"e"),
        ("14-", "bytes 14-14/15", b"e"),
        ("10-99", "bytes 10-14/15", b" tree"),
    ):
        status, fields, got = get("/in.txt", Range=f"bytes={asked}")
        assert (status, fields["content-range"], got) == (206, answered, body)
    for asked in ("15-", "20-30"):
        status, fields, got = get("/in.txt", Range=f"bytes={asked}")
        assert (status, fields["content-range"], got) == (416, "bytes */15", b"")
    for asked in ("lines=1-2", "bytes=0-1,3-4", "bytes=x-"):
        assert get("/in.txt", Range=asked)[::2] == (200, b"inside the tree")
    assert get("/in.txt", "HEAD", Range="bytes=0-1")[0] == 200
    assert get("/in.txt", Range="bytes=0-5", If_Range=etag)[0] == 206
    assert get("/in.txt", Range="bytes=0-5", If_Range='"other"')[::2] == (200, b"inside the tree")


def test_two_versions_of_the_same_size_and_second_have_two_tags(get, tree):
    path = tree / "static/docs/index.html"
    os.utime(path, (1_700_000_000, 1_700_000_000))
    first = get("/docs/")[1]
    other = tree / "other"
    other.write_text("<h1>DOCS")
    os.utime(other, (1_700_000_000, 1_700_000_000))
    other.rename(path)
    status, second, body = get("/docs/", If_None_Match=first["etag"])
    assert (status, body) == (200, b"<h1>DOCS")
    assert first["last-modified"] == second["last-modified"]


def test_a_file_in_the_way_of_nothing(serve, tree, app, room):
    front = serve({"shop.localhost": {"socket": str(room / "app"), "static": str(tree / "static"), "root": str(tree)}})
    client = front.ask(b"POST /in.txt HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 0\r\n\r\n")
    assert app.accept().head()[0] == "POST /in.txt HTTP/1.1"
    client.close()
    front.ask(b"GET /nothing HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    assert app.accept().head()[0] == "GET /nothing HTTP/1.1"


def test_nothing_can_be_sent_to_files(get):
    status, fields, _ = get("/in.txt", "POST")
    assert (status, fields["allow"]) == (405, "GET, HEAD")


def test_a_gigabyte_is_streamed_and_stops_with_the_client(front, tree):
    with (tree / "static/big").open("wb") as file:
        file.truncate(10**9)
    request = b"GET /big HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
    front.ask(b"GET /in.txt HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").answer()
    before = front.memory()
    client = front.ask(request)
    assert client.head()[1]["content-length"] == "1000000000"
    got, room = len(client.kept), bytearray(1 << 20)
    while got < 10**9:
        got += (more := client.socket.recv_into(room))
        assert more
    gone = front.ask(request)
    gone.head()
    gone.close()
    lines = [front.line() for _ in range(6)]
    assert (lines.count("began v7"), lines.count("ended v7")) == (3, 3)
    assert front.memory() - before < 8e6


def test_a_file_that_shrinks_under_way_is_cut(front, tree):
    big = tree / "static/big"
    with big.open("wb") as file:
        file.truncate(10**8)
    client = front.ask(b"GET /big HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    client.head()
    os.truncate(big, 1000)
    assert client.cut()
