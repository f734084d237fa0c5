"""buildless runs on nodes and with developers, whatever Python these have: its tests with the oldest and the newest that is here.

The oldest gets an older gunicorn, too, as Debian 13 has it.
"""

import glob
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WANTED = ("PyYAML", "Jinja2", "gunicorn", "pytest", "hypothesis", "jsonschema")
OLDEST = 9  # of 3.9


def pythons():
    """The interpreters on PATH and of pyenv that buildless supports, by minor version, but for the one that runs this."""
    found = {}
    places = [*os.get_exec_path(), *glob.glob(str(Path.home() / ".pyenv/versions/*/bin"))]
    for place in places:
        for path in glob.glob(f"{place}/python3.*"):
            minor = re.fullmatch(r"python3\.(\d+)", Path(path).name)
            if minor and int(minor[1]) >= OLDEST and int(minor[1]) != sys.version_info.minor and runs(path, minor[1]):
                found.setdefault(int(minor[1]), path)
    return found


def runs(path, minor):
    """Whether it is what it is called; pyenv has programs that only say what else to install."""
    asked = [path, "-c", "import sys, ssl, venv, ensurepip; print(sys.version_info.minor)"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30).stdout.strip() == minor


def chosen():
    found = pythons()
    both = sorted({min(found), max(found)}) if found else []
    return [pytest.param(found[minor], id=f"3.{minor}") for minor in both] or [
        pytest.param(
            None, marks=pytest.mark.skip(reason="there is no other Python, from 3.9 on, on PATH or in ~/.pyenv")
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize("python", chosen())
def test_buildless_passes_its_tests(python, tmp_path):
    venv = tmp_path / "venv"
    quietly(python, "-m", "venv", str(venv))
    quietly(str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *WANTED)
    asked = ("-q", "-m", "not slow", "-k", "not debian", "-p", "no:cacheprovider", "tests/buildless")
    quietly(str(venv / "bin" / "python"), "-B", "-m", "pytest", *asked, cwd=ROOT)


def quietly(*argv, cwd=None):
    done = subprocess.run(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200
    )
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-20000:]
