import subprocess
import sys
import zipfile

import pytest

from buildless.errors import NodeError
from buildless.node import verbs, wheels

COMMIT = "a" * 40
HAS_PIP = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0


@pytest.fixture
def tree(layout):
    top = layout.app("shop").version(COMMIT)
    top.mkdir(parents=True)
    return top


def test_pips_command_line():
    assert " ".join(wheels.argv("/usr/bin/python3", "/into", ["requirements.txt", "six>=1"])) == (
        "/usr/bin/python3 -m pip install --quiet --only-binary :all: --no-input --no-compile --no-cache-dir"
        " --disable-pip-version-check --target /into -r requirements.txt six>=1"
    )


GOOD = "flask[async]>=3,<4 ; python_version >= '3.9'  # why\nlxml==5.0 \\\n    --hash=sha256:00\n-r more/base.txt\n-c pins.txt\n"


def test_files_that_are_included_count_too(tree):
    (tree / "more").mkdir()
    (tree / "requirements.txt").write_text(GOOD)
    (tree / "more" / "base.txt").write_text(
        "--requirement ../last.txt\n--extra-index-url https://pypi.example.com/simple\n"
    )
    (tree / "pins.txt").write_text("six==1.16\n")
    (tree / "last.txt").write_text("-r requirements.txt\n")
    found = wheels.requirements(wheels.reader(tree), "requirements.txt")
    assert sorted(found) == ["last.txt", "more/base.txt", "pins.txt", "requirements.txt"]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("-e .", "put it in the tree and its directory in paths:"),
        ("--editable ./x", "put it in the tree and its directory in paths:"),
        ("git+https://example.com/x.git", "write a name with a version"),
        ("https://example.com/x.whl", "write a name with a version"),
        ("x @ https://example.com/x.whl", "write a name with a version"),
        ("x @ file:///etc/passwd", "write a name with a version"),
        ("./x", "write a name with a version"),
        ("/x", "write a name with a version"),
        ("x-1.0.tar.gz", "write a name with a version"),
        ("--no-binary :all:", "only wheels are installed"),
        ("--no-binary=x", "only wheels are installed"),
        ("--find-links /tmp", "only wheels are installed"),
        ("--target /etc", "only wheels are installed"),
        ("-r /etc/passwd", "is not in the tree"),
        ("-r ../../x.txt", "is not in the tree"),
        ("-r none.txt", "cannot be read"),
    ],
)
def test_what_would_not_be_wheels_of_an_index_is_refused(tree, line, advice):
    (tree / "requirements.txt").write_text(f"six\n{line}\n")
    with pytest.raises(NodeError, match=advice):
        wheels.requirements(wheels.reader(tree), "requirements.txt")


def test_nothing_asked_for(layout, tree):
    assert verbs.wheels(layout, "shop", version=COMMIT, pip=[], python=sys.executable) == {
        "directory": None,
        "new": False,
    }


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A directory with a wheel, which is all that pip finds."""
    links = tmp_path / "links"
    links.mkdir()
    with zipfile.ZipFile(links / "greeting-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "TEXT = 'hello'\n")
        wheel.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("greeting-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.mark.skipif(not HAS_PIP, reason="this Python has no pip")
def test_wheels_are_installed_once_and_nobody_may_write_them(layout, tree, index):
    (tree / "requirements.txt").write_text("greeting\n")
    ask = {"version": COMMIT, "pip": ["requirements.txt"], "python": sys.executable}
    into = verbs.wheels(layout, "shop", **ask)["directory"]
    [made] = layout.app("shop").wheels.iterdir()
    assert str(made) == into and (made / "greeting.py").stat().st_mode & 0o777 == 0o444
    assert made.stat().st_mode & 0o777 == 0o555
    (made / "greeting.py").chmod(0o600)
    assert verbs.wheels(layout, "shop", **ask)["directory"] == into
    assert (made / "greeting.py").stat().st_mode & 0o777 == 0o600, "it was made again"
    (tree / "requirements.txt").write_text("greeting==1.0\n")
    assert verbs.wheels(layout, "shop", **ask)["directory"] != into
    verbs.discard(layout, "shop", release=None, version=None)
    assert not layout.app("shop").wheels.exists()


@pytest.mark.skipif(not HAS_PIP, reason="this Python has no pip")
def test_a_wheel_that_is_not_there_is_pips_own_words_and_leaves_nothing(layout, tree, index):
    with pytest.raises(
        NodeError, match=r"pip: No matching distribution found for greeting>=2; there may be no wheel"
    ) as caught:
        verbs.wheels(layout, "shop", version=COMMIT, pip=["greeting>=2"], python=sys.executable)
    assert "ERROR: No matching distribution found for greeting>=2" in caught.value.details
    assert list(layout.app("shop").wheels.iterdir()) == []
