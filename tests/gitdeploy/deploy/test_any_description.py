"""Whatever a right app.yaml says, what follows of it is said in lines, and can be written for a node."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from buildless.description import KINDS, parse
from buildless.errors import DocumentError
from buildless.node import jobs, mail, nginx, units
from buildless.node.layout import Layout
from gitdeploy.deploy import stages
from gitdeploy.deploy.content import Examined, contradictions
from gitdeploy.develop.check import foreign
from gitdeploy.develop.modules import missing_modules
from gitdeploy.git.inspect import Limits, blobs
from gitdeploy.git.repository import Repository
from gitdeploy.git.tree import Tree

from ...buildless.test_fuzz import TEXT, VALUE
from .test_stages import FACTS, plan

LAYOUT = dict.fromkeys(("logs", "tmp", "pycache", "secret", "state", "release"), "/srv/apps/shop")
ODD = [
    "bin/tool",
    "hello.py",
    "static",
    "lib",
    "no/such",
    "a b",
    "é",
    "-x",
    "a\\b",
    "$HOME",
    "%i",
    "'",
    '"',
    "\u2028",
    "{{ a }}",
    "a;b",
    "#",
]
PATH = some.sampled_from(ODD)
WORD = some.sampled_from([*ODD, "hello:application", "none:f.g", "/path?x=1&y=%20", "python3", "php"])
COMMAND = some.lists(WORD.map(shlex.quote), min_size=1, max_size=3).map(" ".join)
NAME = some.sampled_from(["a", "clean-up", "web2", "b" * 30])
PROCESS = some.one_of(
    COMMAND, some.fixed_dictionaries({"run": COMMAND}, optional={"path": some.sampled_from(["/x", "/chat/", "/a-b/c"])})
)
TIME = some.sampled_from(["* * * * *", "@daily", "*/5 8-18 * * mon-fri", "0 0 1 jan *"])
JOB = some.one_of(
    some.builds("{} {}".format, TIME, COMMAND),
    some.fixed_dictionaries({"at": TIME, "run": COMMAND, "timeout": some.just("5min")}),
)
HOST = some.sampled_from(
    ["example.com", "www.example.com", "example.com/blog", "xn--bcher-kva.example", "*.example.com", "EXAMPLE.org."]
)
KEYS = {
    **dict.fromkeys(("install", "update", "before_update", "check_environment", "health_check", "unit_test"), COMMAND),
    "static": PATH, "paths": some.lists(PATH, max_size=2), "ping": some.sampled_from(["/", "/a%20b?c=1", "/é", "/'"]),
    "processes": some.dictionaries(NAME, PROCESS, max_size=2), "cron": some.dictionaries(NAME, JOB, max_size=2),
    "mail": some.dictionaries(some.sampled_from(["support", "a.b+*", "*", "'"]), COMMAND, max_size=2),
    "locations": some.lists(HOST, max_size=2), "env": some.dictionaries(some.sampled_from(["A", "B_1"]), TEXT, max_size=2),
    "config": some.fixed_dictionaries(
        {"checker": COMMAND}, optional={"default": PATH, "template": PATH, "required": some.booleans()}),
    "services": some.lists(some.sampled_from(["files", "postgresql", "redis", "nfs"]), max_size=2),
    "python": some.sampled_from([">=3.9", "==2.7", "<4"]), "os": some.sampled_from(["debian", "plan9"]),
}  # fmt: skip
DESCRIPTION = some.one_of(
    some.fixed_dictionaries({}, optional=KEYS),
    some.dictionaries(some.sampled_from(sorted(KINDS)), some.one_of(TEXT, VALUE, COMMAND), max_size=2),
)
GOOD = {"platform": ["python", "wsgi"], "app": "hello:application"}
"""What is put into it may be right or wrong."""
LIMITS = Limits(1000, 1_000_000)


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """A small tree, as a push has it inspected."""
    top = tmp_path_factory.mktemp("tree")
    for path in ("hello.py", "static/index.html", "bin/tool", "lib/x.pth"):
        (top / path).parent.mkdir(exist_ok=True)
        (top / path).write_text("lib\n")
    for words in (("init", "-q"), ("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "x")):
        subprocess.run(("git", *words), cwd=top, check=True)
    asked = ("git", "rev-parse", "HEAD^{tree}")
    oid = subprocess.run(asked, cwd=top, check=True, capture_output=True, text=True).stdout.strip()
    repository = Repository(top / ".git")
    tree = Tree.read(repository, oid, None, LIMITS)
    sizes = {blob: len(repository.blob(blob)) for blob in blobs(tree.entries)}
    return Examined(tree, sizes, tree.inspect(LIMITS, sizes))


@settings(deadline=None, derandomize=True, max_examples=1000, suppress_health_check=list(HealthCheck))
@given(DESCRIPTION)
def test_what_is_right_is_taken_to_the_end(examined, values):
    try:
        text = yaml.safe_dump({**GOOD, **values}, allow_unicode=True).encode()
        description = parse(text)
    except (yaml.YAMLError, UnicodeError, DocumentError):
        return
    said = contradictions(description, examined) + [f"app.yaml:{line}" for line in foreign(description)]
    said += [one.text for one in missing_modules(description, examined.tree)]
    assert all(line.isprintable() and line.split(":")[1].isdigit() for line in said), said
    made = plan(text)
    settings = json.loads(json.dumps(stages.settings(made, LAYOUT, "/usr/bin")))
    assert all("\0" not in f"{name}{value}" for name, value in settings["environ"].items())
    record = json.loads(json.dumps(stages.record(made, 1.0, "v7")))
    stages.problems(made, FACTS, 0, 0, installs=True)
    home = Layout(Path("/")).app("shop")
    texts = [nginx.site(home, record), *units.units(home, record).values(), *mail.texts(home, record).values()]
    texts += jobs.texts(home, {**record, "release": "v7"}, jobs.planned(record)).values()
    assert all(line.isprintable() for text in texts for line in text.replace("\t", " ").split("\n"))
