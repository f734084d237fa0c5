"""docs/django.rst, word for word: Django's polls with the admin, on PostgreSQL, where they are written and on a real node."""

from __future__ import annotations

import re

import pytest

from ..functional.session import Running, eventually
from ..walkthrough import section
from .polls import PASSWORD, Polls
from .visitor import Browser


@pytest.fixture(scope="module")
def developer(machines, nodes):
    developer = Polls(machines, nodes(names=["poll1"])[0])
    try:
        yield developer.begin()
    finally:
        developer.close()


@pytest.fixture(scope="module")
def polls(developer):
    """The application, as it is before it is deployed for the first time."""
    for title in ("A project", "Settings", "Polls"):
        developer.walk(title)
    return developer


@pytest.fixture(scope="module")
def site(polls):
    """The node's web server, when the first version is live and has a question."""
    polls.walk("Deploy")
    polls.ask("What's new?", "Not much", "The sky")
    return Browser(polls.node.address, 80, "sampleapp.localhost")


def in_the_admin(browser: Browser) -> str:
    """Log in as the document has it, and see all questions; returns the page."""
    page = browser.get("/admin/login/")
    assert page.status == 200 and "Django administration" in page.text
    [css] = re.findall(r'href="([^"]*/static/admin/css/base[^"]*)"', page.text)
    style = browser.get(css)
    assert style.status == 200 and style.headers["Content-Type"].startswith("text/css"), style
    form = {"username": "admin", "password": PASSWORD, "next": "/admin/polls/question/"}
    assert (
        browser.post("/admin/login/?next=/admin/polls/question/", form).headers["Location"] == "/admin/polls/question/"
    )
    return browser.get("/admin/polls/question/").text


def test_in_development(polls):
    """`gitdeploy serve` was started by the document; what it wrote is looked at there. Here it is asked."""
    serving = Running(("gitdeploy", "serve"), polls.env, polls.directory)
    try:
        serving.until("Live: v1")
        port = int(re.search(r"http://localhost:(\d+)/", serving.seen)[1])
        browser = Browser("127.0.0.1", port, f"localhost:{port}")
        assert browser.get("/").status == 200
        page = in_the_admin(browser)
        assert "0 questions" in page
        assert browser.post("/admin/polls/question/add/", {
            "question_text": "Why?", "choice_set-TOTAL_FORMS": "1", "choice_set-INITIAL_FORMS": "0",
            "choice_set-0-choice_text": "So", "choice_set-0-votes": "0",
        }).status == 302  # fmt: skip
        assert "Why?" in browser.get("/").text
        nothing = browser.get("/nothing")
        assert nothing.status == 404 and "DEBUG = True" in nothing.text
        serving.interrupt()
        assert serving.wait().status in (0, 130)
    finally:
        serving.close()


def test_on_a_node(polls, site):
    page = site.get("/")
    assert page.status == 200 and "What&#x27;s new?" in page.text and "Why?" not in page.text
    assert "Running its tests" in polls.run("deploys", "sampleapp", "d1").out
    assert "Ran 1 test in " in polls.run("deploys", "sampleapp", "d1").out
    assert site.get("/1/").text.count("</button> 0") == 2
    assert site.post("/1/vote/", {"choice": "2"}, form="/1/").status == 302
    assert [int(votes) for votes in re.findall(r"</button> (\d+)", site.get("/1/").text)] == [0, 1]
    stranger = Browser(polls.node.address, 80, "sampleapp.localhost")
    assert stranger.post("/1/vote/", {"choice": "2"}, form="").status == 403
    nothing = site.get("/nothing")
    assert nothing.status == 404 and "DEBUG" not in nothing.text
    css = site.get("/static/admin/css/base.css")
    assert "ETag" in css.headers and css.headers["Cache-Control"] == "no-cache"  # a static file of nginx's
    site.cookies.clear()
    assert "1 question" in in_the_admin(site)
    [css] = re.findall(r'href="(/[.]static/[0-9a-f]{40}/static/admin/css/base[.]css)"', site.get("/admin/").text)
    assert site.get(css).headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_sessions_are_kept_and_a_second_version_migrates(polls, site):
    site.cookies.clear()
    in_the_admin(site)
    polls.walk("The next version")
    assert polls.run("run", "sampleapp", "manage.py", "showmigrations", "polls").out.count("[X]") == 2
    assert "1 question" in site.get("/admin/polls/question/").text
    assert "Not much" in site.get("/1/").text
    shell = b"from polls.models import Comment as C; C.objects.create(question_id=1, text='Well'); print(C.objects.count())\n"
    assert polls.run("run", "sampleapp", "manage.py", "shell", stdin=shell).out.strip().endswith("1")


def test_its_secrets_are_its_environments_own(polls, site):
    ask = b"from django.conf import settings; print(settings.SECRET_KEY, settings.DEBUG)\n"
    [key, debug] = polls.run("run", "sampleapp", "manage.py", "shell", stdin=ask).out.split()[-2:]
    here = polls.done("gitdeploy run manage.py shell", stdin=ask).out.split()[-2:]
    assert debug == "False" and here[1] == "True" and len(key) == 64 and key != here[0]
    assert "insecure" not in key
    eventually("nothing is secret in the log", lambda: key not in polls.run("logs", "sampleapp").out)


MIGRATION = """\
import os, time
from django.db import migrations

PLACE = "/var/lib/apps/" + os.environ["APP_NAME"]

def shout(apps, schema_editor):
    for question in apps.get_model("polls", "Question").objects.order_by("id"):
        question.question_text = question.question_text.upper()
        question.save()
        print("half of it is written", flush=True)
        while os.path.exists(PLACE + "/gate"):
            time.sleep(0.02)
        if os.path.exists(PLACE + "/fail"):
            raise RuntimeError("the second half cannot be migrated")

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("polls", "0002_comment")]
    operations = [migrations.RunPython(shout)]
"""
EXCLUSIVE = "update: {run: manage.py migrate --noinput, exclusive: true}\n"
PLAIN = "update: manage.py migrate --noinput\n"


def votes(site: Browser) -> int:
    return sum(int(number) for number in re.findall(r"</button> (\d+)", site.get("/1/").text))


def failing(polls, update: str) -> Running:
    """Push a migration that waits when half of it is written, and then fails."""
    for name in ("gate", "fail"):
        (polls.node.root / "var/lib/apps/sampleapp" / name).touch()
    (polls.directory / "polls/migrations/0003_shout.py").write_text(MIGRATION)
    description = polls.directory / "app.yaml"
    description.write_text(description.read_text().replace(PLAIN, update).replace(EXCLUSIVE, update))
    polls.done("git add -A && git commit -q --allow-empty -m Shout")
    push = Running(("git", "push", "deploy", "master"), polls.env, polls.directory)
    push.until("half of it is written", 200)
    return push


def refused(polls, push: Running) -> str:
    """What the push says, when it has been let fail."""
    (polls.node.root / "var/lib/apps/sampleapp/gate").unlink()
    said = push.wait(200)
    assert said.status == 1 and "RuntimeError: the second half cannot be migrated" in said.err
    assert " in shout" in said.err and "! [remote rejected] master -> master (" in said.err
    return said.err


@pytest.fixture
def second(polls, site):
    """The second version is live, whichever tests were run before."""
    if not (polls.directory / "polls/migrations/0002_comment.py").exists():
        polls.walk("The next version")
    return polls


def test_a_migration_that_fails_half_way_loses_no_write(second, site):
    before = votes(site)
    push = failing(second, PLAIN)
    try:
        assert site.post("/1/vote/", {"choice": "1"}, form="/1/").status == 302
        said = refused(second, push)
    finally:
        push.close()
    assert votes(site) == before + 1
    assert "WHAT&#x27;S NEW?" in site.get("/").text  # half of the migration is there, as it was said to be
    [command] = re.findall(r"to have them as they were: (restore --kept \S+ --confirm \S+ \S+)", said)
    second.run(*command.split())
    assert "What&#x27;s new?" in site.get("/").text and votes(site) == before


def test_an_exclusive_one_is_taken_back(second, site):
    assert site.post("/1/vote/", {"choice": "1"}, form="/1/").status == 302
    before = votes(site)
    push = failing(second, EXCLUSIVE)
    try:
        answer = site.post("/1/vote/", {"choice": "1"}, form="")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        said = refused(second, push)
    finally:
        push.close()
    assert "Putting the data back as they were" in said
    assert "What&#x27;s new?" in site.get("/").text and votes(site) == before
    assert site.post("/1/vote/", {"choice": "1"}, form="/1/").status == 302
    assert votes(site) == before + 1
    (second.node.root / "var/lib/apps/sampleapp/fail").unlink()
    second.done("git push deploy master")
    assert "WHAT&#x27;S NEW?" in site.get("/").text and votes(site) == before + 1


def test_with_postgis_it_goes_on_with_the_same_data(second, site):
    votes_before, questions = votes(site), site.get("/").text
    for place, lines in (("app.yaml", 2), ("mysite/settings.py", 1)):
        edit(second, place, lines)
    second.done("git add -A && git commit -q -m PostGIS && git push deploy master")
    assert site.get("/").text == questions and votes(site) == votes_before
    assert site.post("/1/vote/", {"choice": "1"}, form="/1/").status == 302
    assert votes(site) == votes_before + 1
    far = (
        b"from django.contrib.gis.geos import Point; from django.db import connections\n"
        b"berlin, paris = (Point(x, y).ewkt for x, y in ((13.4, 52.5), (2.35, 48.86)))\n"
        b"cursor = connections['default'].cursor()\n"
        b"_ = cursor.execute('SELECT ST_Distance(ST_GeogFromText(%s), ST_GeogFromText(%s))', [berlin, paris])\n"
        b"print(type(connections['default']).__module__, round(cursor.fetchone()[0] / 1000))\n"
    )
    said = second.run("run", "sampleapp", "manage.py", "shell", stdin=far).out.split()[-2:]
    assert said == ["django.contrib.gis.db.backends.postgis.base", "878"]
    site.cookies.clear()
    assert "question" in in_the_admin(site)


def edit(polls, place: str, lines: int) -> None:
    """Write the lines that the section PostGIS of the document has for a file in the place of those of before."""
    path = polls.directory / place
    text = path.read_text()
    told = [line.strip() for line in section(polls.text, "PostGIS").splitlines() if line.startswith("    ")]
    keys = {line: line.partition(":")[0] for line in told}
    for line, key in keys.items():
        text, count = re.subn(
            rf"^( *){re.escape(key)}: .*$", lambda found, line=line: found[1] + line, text, flags=re.MULTILINE
        )
        lines -= count
    path.write_text(text)
    assert lines == 0
