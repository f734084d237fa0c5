"""What apps write: in the journal, in a file of each app that is rotated, and for whoever asks."""

from __future__ import annotations

import functools
import re

from ..functional.session import PYTHON, Running
from .machines import eventually
from .visitor import get, says

CHATTY = """\
import os, sys
def application(environ, start_response):
    print("asked for", environ["PATH_INFO"], file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.uname().nodename.encode()]
"""
FORGER = """\
import socket
def application(environ, start_response):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.connect("/run/systemd/journal/socket")
        journal.send(b"MESSAGE=forged\\n_SYSTEMD_UNIT=app-victim-web@v1.service\\nUNIT=app-%s-web@v1.service\\nSYSLOG_IDENTIFIER=%s\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"sent"]
"""


def deployed(app, code=CHATTY):
    app.commit("Write much", {"app.yaml": PYTHON, "hello.py": code})
    app.push().ok()
    return app


def file(node, app):
    return node.root / "var/log/gitdeploy" / f"{app.name}.log"


def has_line(app, text):
    return text in app.server.ssh("logs", app.name).ok().out


def test_logs_has_the_lines_of_all_nodes_in_the_order_of_time(shop, web):
    deployed(shop)
    for number, node in enumerate([*web, *web]):
        assert says(node, shop, f"/{number}") == node.name
        eventually(
            "it is written", functools.partial(has_line, shop, f"asked for /{number}")
        )  # the time is when it is read
    said = shop.server.ssh("logs", shop.name).ok().out.splitlines()
    asked = [line for line in said if re.search(r"asked for /\d", line)]
    assert [re.sub(r" \S+Z ", " TIME ", line) for line in asked[-4:]] == [
        f"{node} TIME v1 web | asked for /{number}" for number, node in enumerate(["web1", "web2", "web1", "web2"])
    ]
    assert shop.server.ssh("logs", shop.name, "-n", "1").ok().out.splitlines() == said[-1:]


def test_logs_goes_on_with_f(shop, web, running):
    deployed(shop)
    following = running(
        Running(shop.server.ssh_argv("logs", shop.name, "-f", "-n", "0"), shop.server.env, shop.directory)
    )
    until = iter(range(1000))

    def seen():
        number = next(until)
        for node in web:
            says(node, shop, f"/live-{number}")
        return all(re.search(rf"{node.name} \S+ v1 web \| asked for /live-", following.seen) for node in web)

    eventually("both are heard", seen)
    following.interrupt()
    following.wait()
    for node in web:
        eventually("nobody follows any more", lambda node=node: "--follow" not in node.ssh("ps", "-eo", "args"))


def test_a_file_of_each_app_is_rotated_and_goes_on(shop, web):
    web1 = web[0]
    deployed(shop)
    says(web1, shop, "/first")
    log = file(web1, shop)
    eventually("it is in the file", lambda: log.exists() and "v1 web | asked for /first\n" in log.read_text())
    assert log.stat().st_mode & 0o777 == 0o640 and log.stat().st_uid == 0
    web1.ssh("logrotate", "--force", "/etc/logrotate.d/gitdeploy")
    says(web1, shop, "/second")
    eventually("it goes on", lambda: log.exists() and "asked for /second" in log.read_text())
    assert "/first" not in log.read_text() and "asked for /first" in log.with_name(f"{shop.name}.log.1").read_text()


def test_there_is_a_file_after_a_first_push_that_failed_too(shop, web):
    shop.commit("Fail", {"app.yaml": PYTHON, "hello.py": "import plums\n"})
    assert shop.push().refused("No module named 'plums'")
    eventually("nothing is left", lambda: not file(web[0], shop).exists())
    deployed(shop)
    says(web[0], shop, "/later")
    eventually("it is in the file", lambda: file(web[0], shop).exists() and "/later" in file(web[0], shop).read_text())


def test_no_app_writes_into_the_log_of_another(server, shop, web):
    """Which unit wrote a line is what systemd says of it, and not what the line says."""
    victim = deployed(server.app("honest"))
    deployed(shop, FORGER % (victim.name, victim.name))
    says(web[0], victim, "/true")
    assert says(web[0], shop) == "sent"
    eventually(
        "it is in its own file", lambda: file(web[0], shop).exists() and "forged" in file(web[0], shop).read_text()
    )
    eventually("so is what is true", lambda: "asked for /true" in file(web[0], victim).read_text())
    assert "forged" not in file(web[0], victim).read_text()
    assert "forged" not in server.ssh("logs", victim.name).ok().out


def test_what_would_change_the_terminal_is_not_shown(shop, web):
    deployed(shop, CHATTY.replace('"asked for"', '"\\x1b[31m\\x1b]0;title\\x07red"'))
    get(web[0], f"{shop.name}.localhost")
    said = shop.server.ssh("logs", shop.name).ok().out
    assert "v1 web | red /" in said and "\x1b" not in said
