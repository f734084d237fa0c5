"""What app.yaml says of process types, and how a process becomes its command."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildless import process
from buildless.description import parse
from buildless.errors import BuildlessError, DocumentError
from buildless.limits import WebLimits
from buildless.package import AppPackage
from buildless.processes import Process
from buildless.release import Release

STATIC = "platform: static\n"


def problems(text):
    with pytest.raises(DocumentError) as caught:
        parse(text.encode())
    return [problem.removeprefix("app.yaml:") for problem in caught.value.problems]


def test_a_command_is_text_or_has_a_path_or_a_count():
    text = STATIC + "processes:\n  a: celery -A 'b c'\n  b: {run: x, count: 3}\n  c-2: {run: y z, path: /api/v1/}\n"
    assert parse(text.encode()).processes == {
        "a": Process(("celery", "-A", "b c")),
        "b": Process(("x",), count=3),
        "c-2": Process(("y", "z"), "/api/v1"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  web: x\n", "3: processes: web is the application itself"),
        ("  Web_1: x\n", '3: processes: "Web_1" is no name of a process type; write small letters'),
        ("  a:\n", "3: processes.a: there is no command"),
        ("  a: ''\n", "3: processes.a: the command is empty"),
        ("  a: x 'y\n", '3: processes.a: "x \'y" ends inside a quotation'),
        ("  a: /usr/bin/x\n", '3: processes.a: "/usr/bin/x" is no program of the tree, and none by its name'),
        ("  a: ../x\n", '3: processes.a: "../x" is no program of the tree'),
        ("  a: {path: /x}\n", "3: processes.a: there is no command; write `run: COMMAND`"),
        ("  a: {run: x, path: /x, count: 2}\n", "3: processes.a: there is one process of a type with `path`"),
        ("  a: {run: x, path: /}\n", "3: processes.a.path: / is all of the site"),
        ("  a: {run: x, path: chat}\n", '3: processes.a.path: "chat" is no URL path of a process'),
        ("  a: {run: x, path: '/a/../b'}\n", '3: processes.a.path: "/a/../b" is no URL path of a process'),
        ("  a: {run: x, path: '/a b'}\n", '3: processes.a.path: "/a b" is no URL path of a process'),
        ("  a: {run: x, count: 21}\n", '3: processes.a.count: "21" is no whole number from 0 to 20'),
        ("  a: {run: x, paths: /x}\n", '3: processes.a: unknown key "paths"; did you mean path?'),
        ("  a: [x]\n", "3: processes.a: there is a list where keys should be"),
        ("  {}\n", "3: processes: there is no process type"),
    ],
)
def test_what_is_wrong_with_a_process_type(text, expected):
    [problem] = problems(f"{STATIC}processes:\n{text}")
    assert expected in problem or problem.startswith(expected), problem


def test_a_path_belongs_to_one_of_them():
    text = STATIC + "processes:\n  a: {run: x, path: /chat}\n  b: {run: y, path: /chat/}\n"
    assert problems(text) == ["4: processes.b: /chat is the path of a already; write another one"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("platform: command\n", "1: platform: command needs a command"),
        ("platform: static\ncommand: x\n", "2: command: this needs `platform: command`"),
        ("platform: python, asgi\n", "1: platform: asgi needs an application; write `app: module:object`"),
        ("platform: asgi\napp: a:b\n", "1: platform: asgi needs python"),
        ("platform: python, asgi\nrunner: a.py\n", "2: runner: a runner is a WSGI application"),
        ("platform: php, command\ncommand: x\n", "1: platform: php and command both answer requests"),
        ("platform: php\napp: a:b\n", "2: app: this needs `platform: python, wsgi`"),
    ],
)
def test_what_answers_requests_goes_with_its_own_keys(text, expected):
    [problem] = problems(text)
    assert problem.startswith(expected)


# How a command is found.


@pytest.fixture
def tree(tmp_path):
    for name, mode in [("bin/run", 0o755), ("run.py", 0o644), ("run.sh", 0o644), ("data", 0o644)]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    return AppPackage(tmp_path)


def line(tree, *words):
    return process.argv(words, tree, "/usr/bin:/bin", "python")


def test_programs_of_the_tree_and_of_the_system(tree):
    assert line(tree, "bin/run", "x") == (str(tree.directory / "bin/run"), "x")
    assert line(tree, "run.py", "x") == ("python", "run.py", "x")
    assert line(tree, "run.sh") == ("/bin/sh", str(tree.directory / "run.sh"))
    assert line(tree, "sh", "-c", "true") == ("/usr/bin/sh", "-c", "true")
    assert line(tree, "shop.tasks:clean", "all")[:3] == ("python", "-m", "buildless.inside")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("bin/nothing", "no such file in the tree; commit it"),
        (
            "no-such-program",
            "no such file in the tree, and no such program is installed; commit it, or name its package",
        ),
        ("data", "is no program; make it one: chmod"),
        ("bin", "is a directory"),
    ],
)
def test_a_command_that_names_nothing(tree, word, expected):
    with pytest.raises(BuildlessError, match=expected):
        line(tree, word)


def test_every_python_that_a_process_starts_is_the_applications(tmp_path):
    """The tree and its paths first, wheels last, .pth files and sitecustomize.py; also in a program that is started by another."""
    for name, text in {
        "tree/app.yaml": "platform: static\npaths: lib\n",
        "tree/lib/more.pth": "../more\n",
        "tree/lib/sitecustomize.py": "import os\nos.environ['EARLY'] = 'yes'\n",
        "tree/lib/one.py": "",
        "tree/more/two.py": "",
        "wheels/three.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    library = tmp_path / "library"
    library.mkdir()
    for name in ("buildless", "yaml"):
        (library / name).symlink_to(Path(importlib.util.find_spec(name).submodule_search_locations[0]).resolve())
    package = AppPackage(tmp_path / "tree", [str(tmp_path / "wheels")])
    variables = process.environ(Release(tmp_path, package, {"PATH": os.defpath}, WebLimits()))
    start = str(library / "buildless" / "start")
    variables["PYTHONPATH"] = variables["PYTHONPATH"].replace(str(process.LIBRARY / "buildless" / "start"), start)
    code = "import one, two, three, os, sys; print([os.path.basename(p) for p in sys.path[:6]], os.environ['EARLY'])"
    said = subprocess.run([sys.executable, "-c", code], env=variables, cwd="/", capture_output=True, text=True)
    assert said.stdout == "['', 'tree', 'lib', 'more', 'wheels', 'start'] yes\n", said

    (tmp_path / "tree/lib/sitecustomize.py").write_text("import nonsense\n")
    said = subprocess.run([sys.executable, "-c", "print('on')"], env=variables, cwd="/", capture_output=True, text=True)
    assert said.returncode == 1 and said.stdout == "" and "No module named 'nonsense'" in said.stderr
