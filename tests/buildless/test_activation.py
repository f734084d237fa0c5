"""What an application's .pth files and sitecustomize.py do to a process, each time in a new one, as they change it for good."""

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

from buildless import activation, explanation, pth

ROOT = Path(__file__).parents[2]
APP = "platform: python, wsgi\napp: shop:application\n"
PATHS = APP + "paths: lib/python\n"
SAYS = """
import json, os, sys
from buildless import AppPackage
from buildless.errors import LoadError
package = AppPackage({top!r})
try:
    {before}
    package.activate()
    {after}
    print(json.dumps([path[len({top!r}) + 1:] for path in sys.path if path.startswith({top!r})]))
except LoadError as error:
    print(json.dumps({{"error": str(error), "cause": type(error.__cause__).__name__}}))
"""


@pytest.fixture
def activated(tmp_path):
    """``activated({"app.yaml": ...})`` says which of its directories are on sys.path in a process that activated it."""

    def activated(files, before="pass", after="pass", **environ):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        code = SAYS.format(top=str(tmp_path), before=before, after=after)
        done = subprocess.run(
            [sys.executable, "-B", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
            env={"PATH": "/usr/bin:/bin", **environ},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *lines, last = done.stdout.splitlines()
        return lines, json.loads(last)

    return activated


@pytest.mark.parametrize("module", [pth, activation, explanation])
def test_the_examples_in_docstrings(module):
    results = doctest.testmod(module)
    assert not results.failed and (results.attempted or module is activation)


def test_directories_of_pth_files_follow_the_one_they_stand_in_in_the_order_of_site(activated):
    files = {
        "app.yaml": APP + "paths: lib/python, vendor\n",
        "lib/python/b.pth": "../../src/b\n",
        "lib/python/a.pth": "\ufeff# ours\n\n../../src/a  \n../../src/missing\nvendor_own\n",
        "lib/python/.hidden.pth": "../../src/hidden\n",
        "lib/python/vendor_own/x.py": "",
        "src/a/x.py": "",
        "src/b/x.py": "",
        "src/hidden/x.py": "",
        "vendor/c.pth": "../src/a\n../lib/python\n",
        "top.pth": "src\n",
    }
    wanted = ["", "src", "lib/python", "src/a", "lib/python/vendor_own", "src/b", "vendor"]
    assert activated(files) == ([], wanted)
    assert activated(files, after="package.activate(); AppPackage(package.directory).activate()") == ([], wanted)


def test_a_line_of_code_runs_once_with_its_directory_on_the_path(activated):
    files = {
        "app.yaml": PATHS,
        "lib/python/x.pth": "import set_up; set_up.count.append(1)\n../../src\n",
        "lib/python/set_up.py": "count = []\n",
        "src/x.py": "",
    }
    after = "package.activate(); import set_up; print(len(set_up.count))"
    assert activated(files, after=after) == (["1"], ["", "lib/python", "src"])


def test_a_line_of_code_that_fails_is_an_error_with_its_place(activated):
    _, found = activated({"app.yaml": PATHS, "lib/python/x.pth": "# ours\nimport nowhere_at_all\n"})
    assert found["error"].startswith("lib/python/x.pth:2: the line cannot be run: ModuleNotFoundError: No module named")
    assert found["cause"] == "ModuleNotFoundError"


def test_an_absolute_path_is_an_error_that_says_what_to_write(activated, tmp_path):
    files = {
        "app.yaml": PATHS,
        "src/shop/x.py": "",
        "lib/python/x.pth": f"{tmp_path}/src/shop\n/home/alice/shop/src\n/opt/elsewhere\n../../../other\n{tmp_path}\n",
    }
    _, found = activated(files)
    says = "is an absolute path, which is right on one machine only; write"
    elsewhere = (
        says[:-5] + "put the directory into the tree, and write the path to it from lib/python, such as ../../src"
    )
    endings = [
        f"{says} ../../src/shop",
        f'lib/python/x.pth:2: "/home/alice/shop/src" {says} ../../src',
        f'lib/python/x.pth:3: "/opt/elsewhere" {elsewhere}',
        'lib/python/x.pth:4: "../../../other" leads out of the tree; put the directory into the tree, and write the path to that',
        f"{says} ../..",
    ]
    lines = found["error"].splitlines()
    assert len(lines) == len(endings)
    assert [line[-len(ending) :] for line, ending in zip(lines, endings)] == endings


CUSTOM = """\
import os, sys
os.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'
print(__name__, __file__ == sys.modules[__name__].__file__)
"""
ASKS = "package.activate(); AppPackage(package.directory).activate(); print(os.environ['DJANGO_SETTINGS_MODULE'])"


def test_sitecustomize_runs_once(activated):
    files = {"app.yaml": PATHS, "lib/python/sitecustomize.py": CUSTOM}
    said, found = activated(files, after=ASKS)
    assert said == ["sitecustomize True", "shop.settings"] and found == ["", "lib/python"]


def test_sitecustomize_runs_although_python_imported_another_one(activated, tmp_path):
    files = {
        "app.yaml": PATHS,
        "lib/python/sitecustomize.py": CUSTOM,
        "debian/sitecustomize.py": "print('the other', __name__)\n",
    }
    after = ASKS + "; import sitecustomize; print(sitecustomize.__file__.endswith('lib/python/sitecustomize.py'))"
    said, _ = activated(files, after=after, PYTHONPATH=str(tmp_path / "debian"))
    assert said == ["the other sitecustomize", "sitecustomize True", "shop.settings", "True"]


def test_sitecustomize_that_python_ran_itself_does_not_run_again(activated, tmp_path):
    files = {"app.yaml": PATHS, "lib/python/sitecustomize.py": "print('once')\n"}
    said, _ = activated(files, PYTHONPATH=str(tmp_path / "lib/python"))
    assert said == ["once"]


def test_sitecustomize_in_several_directories_runs_in_their_order(activated):
    files = {
        "app.yaml": PATHS,
        "sitecustomize.py": "print('top')\n",
        "lib/python/sitecustomize.py": "print('lib')\n",
        "lib/python/x.pth": "../../src\n",
        "src/sitecustomize.py": "print('src')\n",
    }
    assert activated(files)[0] == ["top", "lib", "src"]


def test_sitecustomize_that_fails_is_a_load_error_and_is_tried_again(activated):
    files = {"app.yaml": PATHS, "lib/python/sitecustomize.py": "import os\nprint('tried')\n1 / 0\n"}
    before = "\n    ".join(
        ["try: package.activate()", "except LoadError: pass", "print('sitecustomize' in sys.modules)"]
    )
    said, found = activated(files, before=before)
    assert found == {
        "error": "lib/python/sitecustomize.py cannot be run: ZeroDivisionError: division by zero",
        "cause": "ZeroDivisionError",
    }
    assert said[0] == said[2] == "tried"
