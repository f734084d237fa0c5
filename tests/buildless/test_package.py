import doctest
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import buildless
from buildless import package
from buildless.environ import environ
from buildless.errors import DocumentError, LoadError
from buildless.explanation import explain
from buildless.package import AppPackage

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """``make({"app.yaml": ...})`` writes an application and activates it; modules and sys.path are put back afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def make(files, activate=True):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        made = AppPackage(tmp_path)
        if activate:
            made.activate()
        return made

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


WSGI = "name: shop\nplatform: python, wsgi\n"
APP = WSGI + "app: shopapp:application\n"
RUN = WSGI + "runner: bin/run\n"


@pytest.mark.parametrize("module", [buildless, package])
def test_the_examples_in_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted and not results.failed


def test_the_package_has_one_name_and_needs_no_yaml_for_its_secret():
    code = "import buildless.secret, buildless, sys; assert 'yaml' not in sys.modules; buildless.AppPackage; buildless.Nothing"
    done = subprocess.run([sys.executable, "-c", code], cwd=APPS.parents[1], capture_output=True, text=True, timeout=30)
    assert done.stderr.endswith("AttributeError: module 'buildless' has no attribute 'Nothing'\n")


def test_the_environment_of_a_package_is_the_one_that_is_injected(make):
    injected = dict.fromkeys(
        ("app", "environment", "release", "version", "location", "tmpdir", "logs", "pycache", "secret"), "x"
    )
    shop = make({"app.yaml": APP + "env: {COLOUR: red}\n"}, activate=False)
    found = shop.environ(**injected, base={"SIZE": "large"})
    assert found == environ(shop.description, **injected, base={"SIZE": "large"})
    assert (found["COLOUR"], found["SIZE"], found["APP_SECRET_FILE"]) == ("red", "large", "x")


def test_the_root_and_the_paths_come_first_and_once(make, tmp_path):
    shop = make({"app.yaml": APP + "paths: [vendor, lib/python]\n"}, activate=False)
    sys.path.append(str(tmp_path / "vendor"))
    others = [path for path in sys.path if path != str(tmp_path / "vendor")]
    shop.activate()
    shop.activate()
    assert sys.path == [str(tmp_path), str(tmp_path / "vendor"), str(tmp_path / "lib/python"), *others]


def test_links_in_the_directory_are_followed_once(make, tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "live").symlink_to("v1")
    assert AppPackage(tmp_path / "live").directory == tmp_path / "v1"


def test_an_object_may_be_an_attribute_of_an_attribute(make):
    shop = make(
        {
            "app.yaml": APP,
            "shopapp.py": "class Site:\n    application = print\n",
            "shop_lib/__init__.py": "",
            "shop_lib/a.py": "B = 1",
        }
    )
    assert shop.load_object("shopapp:Site.application") is print
    assert shop.load_object("shop_lib.a:B") == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("shopapp", "write module:object"),
        (":application", "write module:object"),
        ("shopapp:", "write module:object"),
        ("shopapp:missing", "has no attribute 'missing'"),
        ("nowhere_at_all:x", "No module named 'nowhere_at_all'; put it in the tree"),
        ("raises:x", "ZeroDivisionError: division by zero"),
        ("exits:x", "SystemExit: no settings"),
        ("syntax:x", "SyntaxError"),
    ],
)
def test_what_cannot_be_loaded_is_a_load_error(make, spec, message):
    shop = make(
        {
            "app.yaml": APP,
            "shopapp.py": "",
            "raises.py": "1 / 0",
            "exits.py": "raise SystemExit('no settings')",
            "syntax.py": "def (",
        }
    )
    with pytest.raises(LoadError, match=message) as caught:
        shop.load_object(spec)
    assert (caught.value.__cause__ is not None) == ("write" not in message)


def test_a_runner_is_run_once_whatever_its_name(make, tmp_path):
    shop = make(
        {"app.yaml": RUN, "bin/run": "ran = []\nran.append(1)\ndef application(*a): return (__file__, __name__, ran)\n"}
    )
    assert shop.wsgi_app() == (str(tmp_path / "bin/run"), "__runner__", [1])
    assert shop.wsgi_app is shop.wsgi_app


def test_a_runners_traceback_shows_its_lines(make, tmp_path):
    shop = make({"app.yaml": RUN, "bin/run": "def application(*a):\n    return 1 / 0  # here\n"})
    with pytest.raises(ZeroDivisionError) as caught:
        shop.wsgi_app()
    assert traceback.extract_tb(caught.tb)[-1].line == "return 1 / 0  # here"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"app.yaml": RUN, "bin/run": "x = 1"}, "bin/run defines no `application`"),
        ({"app.yaml": RUN}, "bin/run cannot be loaded: FileNotFoundError"),
        ({"app.yaml": RUN, "bin/run": "import nowhere_at_all"}, "bin/run cannot be loaded: ModuleNotFoundError"),
        (
            {"app.yaml": f"{APP}deb: python3-nowhere-at\n", "shopapp.py": "import nowhere_at.all"},
            "No module named 'nowhere_at'; `deb:` names python3-nowhere-at, which is not installed here, or not for this",
        ),
        ({"app.yaml": APP, "shopapp.py": "application = 7"}, "shopapp:application is a int, not a WSGI application"),
        ({"app.yaml": "name: pages\nplatform: static\n"}, "names no application"),
    ],
)
def test_what_is_no_wsgi_application(make, files, message):
    shop = make(files)
    with pytest.raises(LoadError, match=message):
        _ = shop.wsgi_app


def test_a_directory_without_a_description(make, tmp_path):
    with pytest.raises(LoadError, match="an application has its description there"):
        _ = AppPackage(tmp_path).description
    with pytest.raises(DocumentError, match=r"^app\.yaml:"):
        make({"app.yaml": "platform: [python\n"})


def test_an_explanation_has_the_applications_own_frames_only(make, tmp_path):
    shop = make(
        {
            "app.yaml": APP,
            "shopapp.py": "import settings\n",
            "settings.py": "try:\n    {}['KEY']\nexcept KeyError:\n    raise ValueError('no KEY')\n",
        }
    )
    with pytest.raises(LoadError) as caught:
        shop.load_object("shopapp:application")
    lines = explain(caught.value, shop.directory).splitlines()
    frames = [line.strip() for line in lines if line.startswith("  File ")]
    assert frames == [
        f'File "{tmp_path}/settings.py", line 2, in <module>',
        f'File "{tmp_path}/shopapp.py", line 1, in <module>',
        f'File "{tmp_path}/settings.py", line 4, in <module>',
    ]
    assert lines[-2:] == ["ValueError: no KEY", "shopapp:application cannot be loaded: ValueError: no KEY"]


def test_an_explanation_of_what_has_no_frames(make):
    shop = make({"app.yaml": APP})
    with pytest.raises(LoadError) as caught:
        shop.load_object("shopapp:application")
    assert explain(caught.value, shop.directory).startswith(
        "ModuleNotFoundError: No module named 'shopapp'\nshopapp:application cannot"
    )
