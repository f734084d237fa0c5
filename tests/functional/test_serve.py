"""What somebody sees who writes an application with ``gitdeploy serve`` beside it: real processes, real HTTP, real files."""

from __future__ import annotations

import http.client
import os
import re
import signal
import smtplib
import socket
from pathlib import Path

import pytest

from .desk import GITDEPLOY, Desk, desk
from .session import HELLO, LIMIT, PYTHON, Running, Server, eventually, hello, run
from .terminal import Terminal

__all__ = ["desk"]

PID = """\
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
"""

FAILING = """\
def application(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        return late(start_response)
    if environ["PATH_INFO"] == "/cut":
        return cut(start_response)
    raise RuntimeError("plums & <pears>")
def late(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise RuntimeError("late")
    yield b""
def cut(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"a part"
    raise RuntimeError("too late")
"""


def test_a_change_is_served_and_a_fault_is_shown_until_it_is_mended(desk: Desk) -> None:
    serving = desk.serve({**hello("one"), "static/style.css": "body {}\n", "say.sh": 'echo "$STATIC_URL"\n'})
    serving.until(f"shop, development: http://localhost:{desk.port}/")
    serving.until("Live: v1")
    assert desk.get().text == "one"
    assert desk.get("/style.css").text == "body {}\n"
    assert desk.gitdeploy("run", "say.sh").ok().out == "/\n"
    desk.write(hello("two"))  # as long as before
    serving.until("Live: v2")
    assert "Changed: hello.py" in serving.seen and desk.get().text == "two"
    desk.write({"hello.py": "import plums\n"})
    serving.until(" !     the application does not start: hello:application cannot be loaded")
    page, plain = desk.get("/any", "text/html"), desk.get()
    assert page.status == 500 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "import plums" in page.text and "No module named &#39;plums&#39;" in page.text
    assert '<meta http-equiv="refresh" content="1">' in page.text
    assert plain.status == 500 and 'hello.py", line 1, in <module>' in plain.text
    desk.write({"app.yaml": PYTHON + "pats: lib\n"})
    serving.until(' !     app.yaml:3: unknown key "pats"; did you mean paths?')
    assert "app.yaml:3: unknown key" in desk.get().text
    desk.write(hello("three"))
    eventually("it is mended", lambda: desk.get().text == "three")
    serving.interrupt()
    assert serving.wait().status == 0
    assert desk.processes() == [] and list(desk.tmp.iterdir()) == []


def test_an_exception_of_a_request_is_shown_in_both_places(desk: Desk) -> None:
    serving = desk.serve({"app.yaml": PYTHON, "hello.py": FAILING})
    serving.until("Live: v1")
    page = desk.get("/pears", "text/html")
    assert page.status == 500 and page.headers["Content-Type"].startswith("text/html")
    assert "RuntimeError: plums &amp; &lt;pears&gt;" in page.text and "<pears>" not in page.text
    assert "refresh" not in page.text and "gunicorn" not in page.text and "postmortem" not in page.text
    serving.until("web | GET /pears failed")
    serving.until("web | RuntimeError: plums & <pears>")
    late = desk.get("/late")
    assert late.status == 500 and late.text.endswith("RuntimeError: late\n")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        desk.get("/cut")
    serving.until("web | RuntimeError: too late")


def test_what_runs_is_told_that_this_is_development(desk: Desk) -> None:
    code = (
        "import os\nfrom buildless.secret import get_secret\nTEXT = repr([dict(os.environ), get_secret()]).encode()\n"
    )
    text = HELLO.replace('b"%s"', "TEXT")
    serving = desk.serve({"app.yaml": PYTHON + "name: fruit\nenv: {SORT: plum}\n", "hello.py": code + text})
    serving.until("Live: v1")
    environ, secret = eval(desk.get().text)
    assert (environ["APP_NAME"], environ["APP_ENVIRONMENT"], environ["APP_LOCATION"]) == (
        "fruit",
        "development",
        "localhost",
    )
    assert environ["SORT"] == "plum" and "PYTHONWARNINGS" not in environ
    for name in ("TMPDIR", "APP_LOGS", "PYTHONPYCACHEPREFIX"):
        assert environ[name].startswith(f"{desk.home}/.cache/gitdeploy/fruit-") and Path(environ[name]).is_dir()
    assert environ["APP_SECRET_FILE"] == f"{desk.home}/.config/gitdeploy/secrets/fruit.development"
    assert Path(environ["APP_SECRET_FILE"]).read_text().strip() == secret
    assert sorted(path.name for path in desk.shop.iterdir()) == ["app.yaml", "hello.py"]


def test_what_git_ignores_is_no_change(desk: Desk) -> None:
    serving = desk.serve({**hello("one"), ".gitignore": "*.db\n/var/\n"})
    serving.until("Live: v1")
    desk.write({"shop.db": "", "var/x": "", "__pycache__/x.py": "", ".hello.py.swp": "", "static/new.css": "new"})
    assert desk.get("/new.css").text == "new"
    desk.write(hello("two"))
    serving.until("Live: v2")
    assert re.findall(r"Changed: (.*)", serving.seen) == ["hello.py"]


def test_a_new_release_begins_although_the_one_before_never_loads(desk: Desk) -> None:
    serving = desk.serve({"app.yaml": PYTHON, "hello.py": "print('waiting')\nimport time\ntime.sleep(3600)\n"})
    serving.until("web | waiting")
    desk.write(hello("one"))
    serving.until("Live: v2")
    assert desk.get().text == "one" and len(desk.processes()) == 2


def test_two_do_not_serve_the_same_and_a_port_that_is_taken_is_said(desk: Desk) -> None:
    serving = desk.serve(hello("one"))
    serving.until("Live: v1")
    again = run([*GITDEPLOY, "serve"], desk.env, desk.shop)
    assert again.status == 1 and "it is being served already" in again.err
    (desk.top / "other").mkdir()
    (desk.top / "other" / "app.yaml").write_text("platform: static\n")
    other = run(desk.argv("other"), desk.env, desk.top)
    assert other.status == 1 and f"port {desk.port} cannot be had" in other.err
    nothing = run([*GITDEPLOY, "serve"], desk.env, desk.top)
    assert nothing.status == 1 and "there is no app.yaml in" in nothing.err


def test_files_alone_are_served(desk: Desk) -> None:
    serving = desk.serve({"app.yaml": "platform: static\n", "static/index.html": "<h1>Fruit</h1>"})
    serving.until("Live: v1")
    assert desk.get().text == "<h1>Fruit</h1>"
    assert desk.get("/nothing").status == 404
    desk.write({"app.yaml": "platform: static\nstatic: public\n", "public/index.html": "<h1>Plums</h1>"})
    serving.until("Live: v2")
    assert desk.get().text == "<h1>Plums</h1>"


def test_one_that_is_killed_leaves_no_process(desk: Desk) -> None:
    serving = desk.serve({"app.yaml": PYTHON, "hello.py": PID})
    serving.until("Live: v1")
    assert int(desk.get().text) in desk.processes()
    os.kill(serving.process.pid, signal.SIGKILL)
    eventually("its processes end with it", lambda: not desk.processes())


def test_a_breakpoint_talks_to_the_terminal(desk: Desk) -> None:
    stops = HELLO.replace("    start", "    fruit = 'pl' + 'ums'\n    breakpoint()\n    start", 1)
    desk.write({"app.yaml": PYTHON, "hello.py": stops % "one"})
    terminal = Terminal(desk.argv("shop"), desk.env, desk.top)
    try:
        terminal.until("Live: v1")
        with socket.create_connection(("127.0.0.1", desk.port), LIMIT) as asked:
            asked.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            terminal.until("(Pdb) ")
            terminal.type("p fruit\n")
            terminal.until("'plums'")
            terminal.type("c\n")
            assert b"one" in b"".join(iter(lambda: asked.recv(4096), b""))
        terminal.type("\x03")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_what_init_makes_with_django_works_everywhere_as_it_is(server: Server, desk: Desk) -> None:
    desk.gitdeploy("init", "blog", "--framework", "django", cwd="home").ok()
    (desk.home / "blog").rename(desk.top / "blog")
    desk.shop = desk.top / "blog"
    desk.gitdeploy("vendor", "django<6", cwd="blog").ok()  # this machine may have no python3-django
    yaml = (desk.shop / "app.yaml").read_text()
    (desk.shop / "app.yaml").write_text(yaml.replace("deb: [python3-django]\n", ""))
    tested = desk.gitdeploy("test", cwd="blog").ok()
    assert "Running: python3 -m" in tested.text and "Ran 2 tests" in tested.text
    assert "no issues" in desk.gitdeploy("run", "manage.py", "check", cwd="blog").ok().text
    serving = desk.running = Running(desk.argv("blog"), desk.env, desk.top)
    serving.until("Live: v1")
    assert "It works." in desk.get().text
    assert "Page not found" in desk.get("/nothing", "text/html").text  # Django's own page, with DEBUG
    for argv in (
        ["git", "init", "-q", "-b", "master"], ["git", "add", "-A"], ["git", "commit", "-qm", "First page"],
        ["git", "push", f"ssh://deploy@127.0.0.1:{server.ssh_port}/blog", "master"],
    ):  # fmt: skip
        run(argv, server.env, desk.shop, limit=120).ok()
    assert "It works." in server.get("blog.localhost").text
    missing = server.get("blog.localhost", "/nothing")
    assert missing.status == 404 and "DEBUG" not in missing.text


def test_services_and_the_commands_of_its_tests_are_as_they_are_said(desk: Desk) -> None:
    tell = HELLO.replace('b"%s"', 'os.environ["CONFIG_REDIS_DB"].encode()')
    running = desk.serve({
        "app.yaml": f"{PYTHON}services: redis, files\nunit_test: hello:check\n",
        "hello.py": f"import os\n{tell}def check(*words):\n    print('checked', words, os.environ['CONFIG_REDIS_DB'])\n",
    })  # fmt: skip
    running.until("redis: {url: ")
    assert "wants services that" in running.seen and "Traceback" not in running.seen
    settings = desk.home / ".config" / "gitdeploy" / "development.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('redis: {url: "redis://localhost:6379/6"}\n')
    running.until("Live: v2")
    assert f"-----> Changed: {settings}\n" in running.seen and desk.get().text == "6"
    settings.write_text("redis: {ulr: x}\n")
    running.until(" !     " + f'{settings}:1: redis: unknown key "ulr"; did you mean url?')
    settings.write_text('redis: {url: "redis://localhost:6379/7"}\n')
    running.until("Live: v4")
    assert desk.get().text == "7"
    assert desk.gitdeploy("test", "one").ok().out.endswith("checked ('one',) 7\n")


def test_a_configuration_of_the_developer_counts_when_it_changes(desk: Desk) -> None:
    mine = desk.home / ".config" / "gitdeploy" / "config" / "shop"
    tell = HELLO.replace('b"%s"', 'open(os.environ["APP_CONFIG"] + "/greeting", "rb").read()')
    serving = desk.serve({
        "app.yaml": f"name: shop\n{PYTHON}config: {{default: conf}}\n", "hello.py": f"import os\n{tell}", "conf/greeting": "one",
    })  # fmt: skip
    serving.until("Live: v1")
    assert desk.get().text == "one"
    mine.mkdir(parents=True)
    (mine / "greeting").write_text("two")
    serving.until("Live: v2")
    assert f"-----> Changed: {mine}, {mine}/greeting\n" in serving.seen and desk.get().text == "two"
    (mine / "greeting").write_text("three")
    serving.until("Live: v3")
    assert desk.get().text == "three"


RECEIVE = """\
import email, os, sys
message = email.message_from_file(sys.stdin)
print("took", message["Subject"], os.environ["SENDER"], os.environ["RECIPIENT"], os.environ["APP_ENVIRONMENT"])
if "no" in message["Subject"]:
    print("that is no ticket", file=sys.stderr)
    sys.exit(1)
"""


def test_mail_is_for_the_commands_of_the_application(desk: Desk) -> None:
    mail = 'mail:\n  "ticket-*@shop.example.com": bin/receive.py\n'
    serving = desk.serve({**hello("one"), "app.yaml": PYTHON + mail, "bin/receive.py": RECEIVE})
    serving.until("Live: v1")
    port = int(re.search(r"mail: smtp://127\.0\.0\.1:(\d+)", serving.seen)[1])
    with smtplib.SMTP("127.0.0.1", port, timeout=LIMIT) as client:
        client.sendmail("alice@example.org", ["ticket-1@shop.example.com"], "Subject: Fire\n\nIt burns.\n")
        serving.until("mail | took Fire alice@example.org ticket-1@shop.example.com development")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("alice@example.org", ["ticket-1@shop.example.com"], "Subject: no\n\n.\n")
        assert refused.value.smtp_code == 550
        serving.until("mail | that is no ticket")
        serving.until(" !     bin/receive.py: ")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("alice@example.org", ["alice@example.org"], "Subject: Relay\n\n")
        serving.until("app.yaml has no address that alice@example.org is")
        desk.write({"app.yaml": PYTHON + mail.replace("ticket-", "alice")})  # looked at for each message
        client.sendmail("", ["alice@shop.example.com"], "Subject: Now\n\n")
        serving.until("mail | took Now  alice@shop.example.com development")
    serving.interrupt()
    assert serving.wait().status == 0
