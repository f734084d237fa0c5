import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer
from typing import Any

import pytest

from buildless.errors import NodeError
from buildless.node import nginx

RECORD = {"hosts": ["www.Shop.example.com", "example.com/shop", "shop.test", "*"]}
SITE = """# Written by gitdeploy for the app shop; changes are lost with its next deploy.
www.shop.example.com/ shop;
example.com/shop shop;
shop.test/ shop;
*/ shop;
"""


def test_the_file_of_an_app(layout):
    assert nginx.site(layout.app("shop"), RECORD) == SITE


HOSTILE = [
    "a.test; return 200 x",
    "a.test}",
    "a\n.test",
    "$host",
    "{{ 7 * 7 }}",
    "~^.*$",
    '"',
    "*.test",
    "a.test/*",
    "a.test/x y",
    "a.test/x;y",
    "a.test/../x",
    "a.test/a//b",
    "a.test/X",
    "",
    "a b",
    "a\0b",
]


@pytest.mark.parametrize("host", HOSTILE)
def test_a_host_that_is_none_gets_into_no_file(layout, host):
    with pytest.raises(NodeError):
        nginx.site(layout.app("shop"), {"hosts": ["shop.test", host]})


def test_a_file_that_is_there_already_is_not_tested_again(programs, layout):
    (layout.sites / "shop.map").write_text(SITE)
    nginx.propose(layout.app("shop"), RECORD)
    assert programs.calls == []


def test_a_proposal_is_tested_beside_all_others_and_changes_nothing(programs, layout):
    (layout.sites / "other.map").write_text("other")
    nginx.propose(layout.app("shop"), RECORD)
    [call] = programs.calls
    assert call[:4] == ["nginx", "-t", "-q", "-c"] and call[4].endswith("/nginx.conf")
    assert [path.name for path in layout.sites.iterdir()] == ["other.map"]


def test_what_nginx_says_is_what_the_pusher_reads(programs, layout):
    said = "2024/01/01 00:00:00 [emerg] 7#7: invalid parameter\nnginx: configuration file /x test failed\n"
    programs.answer("nginx", code=1, out=said)
    with pytest.raises(NodeError, match="nginx does not take the configuration of shop: invalid parameter") as caught:
        nginx.propose(layout.app("shop"), RECORD)
    assert caught.value.details == ("invalid parameter", "nginx: configuration file /x test failed")


def test_a_location_that_another_app_has_is_refused(programs, layout):
    said = 'nginx: [emerg] conflicting parameter "shop.test/" in /tmp/gitdeploy-nginx-1/gitdeploy/shop.map:4\n'
    programs.answer("nginx", code=1, out=said)
    with pytest.raises(NodeError, match=r"shop: shop\.test belongs to another app; take it out of the locations"):
        nginx.propose(layout.app("shop"), RECORD)


def test_a_changed_file_is_tested_put_in_place_and_read(programs, layout):
    app = layout.app("shop")
    nginx.install(app, SITE)
    assert app.site.read_text() == SITE
    assert [call[:2] for call in programs.calls] == [["nginx", "-t"], ["systemctl", "reload-or-restart"]]
    nginx.install(app, SITE)
    assert len(programs.calls) == 2
    nginx.install(app, None)
    assert not app.site.exists() and len(programs.calls) == 4
    nginx.install(app, None)
    assert len(programs.calls) == 4


def test_the_file_of_before_comes_back_when_nginx_does_not_reload(programs, layout):
    app = layout.app("shop")
    app.site.write_text("before")
    programs.answer("systemctl", "reload-or-restart", code=1)
    with pytest.raises(NodeError, match="systemctl reload-or-restart failed"):
        nginx.install(app, SITE)
    assert app.site.read_text() == "before"
    assert [call[:2] for call in programs.calls][1:] == [["systemctl", "reload-or-restart"]] * 2


class Handler(BaseHTTPRequestHandler):
    seen = []

    def do_GET(self):
        self.seen.append((self.path, dict(self.headers)))
        self.send_response(200)
        self.end_headers()
        if self.path == "/long":
            self.wfile.write(b"x" * 50_000)
        elif self.path == "/never":
            self.server.gate.wait(5)
        else:
            self.wfile.write("grüß".encode())

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass


@pytest.fixture
def front(layout, tmp_path, monkeypatch):
    """A web server on the socket for checks, which has a short path here: unix(7) allows 107 bytes."""
    layout.check_socket.parent.mkdir(parents=True)
    monkeypatch.chdir(layout.check_socket.parent)
    monkeypatch.setattr(type(layout), "check_socket", "nginx.sock")
    server = UnixStreamServer("nginx.sock", Handler)
    server.gate = threading.Event()
    Handler.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_check_goes_through_nginx_to_one_release(layout, front):
    answer = nginx.ask(layout.app("shop"), "v7", "shop.test", "/ping?x=1", 5)
    assert (answer["status"], answer["body"]) == (200, "grüß") and 0 <= answer["seconds"] < 5
    [(path, headers)] = Handler.seen
    assert path == "/ping?x=1" and headers["Host"] == "shop.test" and headers["X-Gitdeploy-Release"] == "shop/v7"


def test_a_body_without_end_is_read_in_part(layout, front):
    assert len(nginx.ask(layout.app("shop"), "v7", "shop.test", "/long", 5)["body"]) == nginx.BODY


def test_an_answer_that_does_not_come(layout, front):
    with pytest.raises(NodeError, match=r"/never did not answer within 0.2 s"):
        nginx.ask(layout.app("shop"), "v7", "shop.test", "/never", 0.2)


def test_nginx_that_is_not_there(layout):
    with pytest.raises(NodeError, match=r"/ was not answered: .*; look at nginx on the node"):
        nginx.ask(layout.app("shop"), "v7", "shop.test", "/", 1)


def test_workers_are_the_masters_children_and_accept_until_their_title_says_otherwise(layout):
    assert nginx.workers(layout) == []
    (layout.root / "run").mkdir(parents=True, exist_ok=True)
    (layout.root / "run" / "nginx.pid").write_text(f"{os.getpid()}\n")
    wait = "import sys; print(flush=True); sys.stdin.read()"
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen([sys.executable, "-c", wait], **pipes) as worker,
        subprocess.Popen([sys.executable, "-c", wait, "worker is shutting down"], **pipes) as ending,
    ):
        for one in (worker, ending):
            one.stdout.readline()  # a process has no title yet while it is being loaded
        assert {str(worker.pid), str(ending.pid)} <= set(nginx.workers(layout))
        assert nginx.accepts(str(worker.pid)) and not nginx.accepts(str(ending.pid))
    assert not nginx.accepts(str(worker.pid))
