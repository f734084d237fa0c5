"""The four forms of a command, each run for real in a process of its own; and what is none."""

import doctest
import os
import sys
import time

import pytest

from buildless import AppPackage, command, request
from buildless.command import Command, parse_command
from buildless.errors import CommandError

YAML = "platform: python, wsgi\napp: shopapp:application\npaths: lib\n"
SHOPAPP = """\
import os
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise ValueError("no apples")
    start_response("404 Not Found" if path == "/missing" else "200 OK", [("Content-Type", "text/plain")])
    return [repr([path, environ["QUERY_STRING"], environ.get("buildless.internal"), environ["HTTP_HOST"]]).encode()]
def hello(*words):
    print("hello", *words, os.environ.get("COLOUR"), os.getcwd() == os.path.dirname(__file__))
def fails():
    raise KeyError("apples")
def number(text):
    return int(text)
def refuses():
    return False
def text():
    return "twelve apples"
def leaves():
    os._exit(7)
def kills():
    os.kill(os.getpid(), 9)
"""
SCRIPT = """\
import sys
import beside, inlib
print(__name__, sys.argv[1:], beside.HERE, inlib.HERE, sys.modules["__main__"].__file__ == __file__)
if sys.argv[1:] == ["fail"]:
    raise RuntimeError("it failed")
if sys.argv[1:] == ["exit"]:
    sys.exit(3)
"""
FILES = {
    "app.yaml": YAML,
    "shopapp.py": SHOPAPP,
    "bin/script.py": SCRIPT,
    "bin/beside.py": "HERE = 'bin'\n",
    "lib/inlib.py": "HERE = 'lib'\n",
    "lib/sitecustomize.py": "import os\nos.environ.setdefault('COLOUR', 'set by sitecustomize')\n",
    "bin/manage": "#!/usr/bin/env python3\nimport inlib\nprint('manage', inlib.HERE)\n",
    "bin/plain.sh": 'echo "$0" "$1" "$COLOUR"; pwd; echo oh >&2; exit ${2:-0}\n',
    "bin/run": '#!/bin/sh\necho run "$@"\n',
    "bin/data.txt": "no program\n",
    "bin/slow.sh": "echo begun; sleep 60 & sleep 60\n",
    "bin/leaves.sh": "sleep 60 & echo done\n",
    "buildless.py": "raise SystemExit('not this one')\n",
    "json.py": "raise SystemExit('not this one')\n",
}
ENVIRON = {"PATH": os.defpath, "COLOUR": "red", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def shop(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("bin/run", "bin/manage"):
        (tmp_path / name).chmod(0o755)
    return AppPackage(tmp_path)


@pytest.mark.parametrize("module", [command, request])
def test_the_examples_in_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted and not results.failed


def test_a_url_path_is_asked_inside(shop):
    result = shop.run_command("/set%20up?demo=1", {**ENVIRON, "APP_LOCATION": "shop.example.com"})
    assert (result.success, result.reason) == (True, "")
    assert result.output == "['/set up', 'demo=1', True, 'shop.example.com']\n"


def test_a_url_path_that_answers_400_or_more_fails(shop):
    result = shop.run_command("/missing", ENVIRON)
    assert not result.success and result.output.endswith("/missing answered 404 Not Found\n")
    result = shop.run_command("/raise", ENVIRON)
    assert not result.success and 'shopapp.py", line 5, in application' in result.output
    assert result.output.endswith("ValueError: no apples\n") and "inside.py" not in result.output


@pytest.mark.parametrize(
    "line", ["bin/script.py 'a b' c", ["bin/script.py", "a b", "c"], "./bin/../bin/script.py 'a b' c"]
)
def test_a_python_script_has_its_own_directory_and_those_of_the_application(shop, line):
    result = shop.run_command(line, ENVIRON)
    assert (result.output, result.success) == ("__main__ ['a b', 'c'] bin lib True\n", True)


def test_a_python_script_that_fails(shop):
    result = shop.run_command("bin/script.py fail", ENVIRON)
    assert not result.success and result.reason == "bin/script.py ended with exit code 1"
    assert result.output.endswith("RuntimeError: it failed\n") and 'script.py", line 5, in <module>' in result.output
    assert shop.run_command("bin/script.py exit", ENVIRON).reason == "bin/script.py ended with exit code 3"


def test_a_python_script_is_known_by_its_first_line(shop):
    assert shop.run_command("bin/manage", ENVIRON).output == "manage lib\n"


def test_a_shell_script_and_a_program_run_in_the_applications_directory(shop):
    result = shop.run_command("bin/plain.sh one", ENVIRON)
    assert result.output == f"{shop.directory}/bin/plain.sh one red\n{shop.directory}\noh\n" and result.success
    assert shop.run_command("bin/plain.sh one 4", ENVIRON).reason == "bin/plain.sh ended with exit code 4"
    assert shop.run_command("bin/run 'a  b'", ENVIRON).output == "run a  b\n"


def test_a_function_is_called_with_strings(shop):
    assert shop.run_command("shopapp:hello a 'b c'", ENVIRON).output == "hello a b c red True\n"
    assert shop.run_command("shopapp:text", ENVIRON).output == "twelve apples\n"
    assert [shop.run_command(f"shopapp:number {text}", ENVIRON).success for text in ("0", "2", "256")] == [
        True,
        False,
        False,
    ]
    assert not shop.run_command("shopapp:refuses", ENVIRON).success


@pytest.mark.parametrize(
    ("name", "output", "reason"),
    [
        ("shopapp:fails", "KeyError: 'apples'\n", "ended with exit code 1"),
        (
            "shopapp:nowhere",
            "has no attribute 'nowhere'; define it there, or name what is there\n",
            "ended with exit code 1",
        ),
        ("nowhere:x", "No module named 'nowhere'", "ended with exit code 1"),
        ("shopapp:leaves", "", "ended with exit code 7"),
        ("shopapp:kills", "", "was ended by signal 9"),
    ],
)
def test_a_function_that_fails_does_not_hurt_the_caller(shop, name, output, reason):
    result = shop.run_command(name, ENVIRON)
    assert not result.success and output in result.output and result.reason == f"{name} {reason}"
    if output.startswith("KeyError"):
        assert 'shopapp.py", line 11, in fails' in result.output


def test_sitecustomize_is_there_in_a_command(shop):
    environ = {name: text for name, text in ENVIRON.items() if name != "COLOUR"}
    assert "set by sitecustomize" in shop.run_command("shopapp:hello", environ).output
    (shop.directory / "lib/sitecustomize.py").write_text("1 / 0\n")
    result = shop.run_command("shopapp:hello", ENVIRON)
    assert not result.success and "sitecustomize.py cannot be run: ZeroDivisionError" in result.output


def test_what_takes_too_long_is_ended_with_all_it_started(shop):
    begun, pieces = time.monotonic(), []
    result = shop.run_command("bin/slow.sh", ENVIRON, timeout=1, on_output=pieces.append)
    assert time.monotonic() - begun < 10
    assert result == command.Result(False, "begun\n", "bin/slow.sh did not end within 1 s") and pieces == ["begun\n"]


def test_what_it_leaves_behind_is_not_waited_for(shop):
    begun = time.monotonic()
    assert shop.run_command("bin/leaves.sh", ENVIRON).output == "done\n"
    assert time.monotonic() - begun < 10


def test_nothing_is_inherited_but_by_default(shop, monkeypatch):
    monkeypatch.setenv("COLOUR", "blue")
    assert "blue" in shop.run_command("bin/plain.sh x").output
    assert "blue" not in shop.run_command("bin/plain.sh x", {"PATH": os.defpath}).output


def test_an_interpreter_that_is_not_there(shop):
    result = shop.run_command("shopapp:hello", ENVIRON, python="/no/python")
    assert not result.success and result.reason == "shopapp:hello cannot be started: No such file or directory"


def test_libraries_are_on_the_path(shop, tmp_path_factory):
    library = tmp_path_factory.mktemp("wheels")
    (library / "fruit.py").write_text("def apples(): print('twelve')\n")
    assert AppPackage(shop.directory, [str(library)]).run_command("fruit:apples", ENVIRON).output == "twelve\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the command is empty; write a URL path"),
        ("bin/missing.py x", "'bin/missing.py': there is no such file in the tree; write a URL path"),
        ("make all", "'make': there is no such file"),
        ("bin", "'bin' is a directory"),
        ("bin/data.txt", r"is no program; make it one: chmod \+x bin/data.txt"),
        ("../other.py", "is not in the tree"),
        ("/setup now", "/setup is a URL path, which takes no arguments"),
        ("//other.example.com/", "is no URL path"),
        ("bin/run 'x", "close the quotes"),
    ],
)
def test_what_is_no_command(shop, line, message):
    with pytest.raises(CommandError, match=message):
        shop.run_command(line, ENVIRON)


def test_a_link_that_leads_out_of_the_tree_is_no_command(shop):
    (shop.directory / "bin" / "python").symlink_to(sys.executable)
    with pytest.raises(CommandError, match="is not in the tree"):
        parse_command("bin/python", shop.directory)


def test_the_form_of_a_command(shop):
    assert parse_command("a.b:c.d x", shop.directory) == Command("function", "a.b:c.d", ("x",))
    assert parse_command("/", shop.directory) == Command("url", "/")
