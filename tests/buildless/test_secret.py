"""The secret: made once, by whoever is first, readable for one user, and never in a variable."""

import doctest
import os
import subprocess
import sys

import pytest

from buildless import secret
from buildless.errors import BuildlessError
from buildless.secret import get_secret, make_secret, put_secret

MAKE = "import sys; from buildless.secret import get_secret; sys.stdin.read(1); print(get_secret())"


def test_the_examples_in_docstrings():
    results = doctest.testmod(secret)
    assert results.attempted and not results.failed


def test_it_is_made_once_for_one_user_whatever_the_umask(tmp_path):
    place = tmp_path / "gitdeploy" / "secrets" / "shop"
    before = os.umask(0)
    try:
        first = make_secret(place)
    finally:
        os.umask(before)
    assert make_secret(place) == first == get_secret({"APP_SECRET_FILE": str(place)})
    assert place.stat().st_mode & 0o777 == 0o600 and place.parent.stat().st_mode & 0o777 == 0o700
    assert make_secret(tmp_path / "other") != first


def test_processes_that_make_it_at_once_have_the_same(tmp_path):
    environ = {"APP_SECRET_FILE": str(tmp_path / "new" / "shop"), "PATH": os.defpath}
    cwd = os.path.dirname(os.path.dirname(secret.__file__))
    racing = [
        subprocess.Popen([sys.executable, "-c", MAKE], env=environ, cwd=cwd, text=True, stdin=-1, stdout=-1)
        for _ in range(6)
    ]
    for one in racing:
        one.stdin.write("x")
        one.stdin.close()
    said = set()
    for one in racing:
        said.add(one.stdout.read().strip())
        one.stdout.close()
        assert one.wait(30) == 0
    assert said == {(tmp_path / "new" / "shop").read_text().strip()}
    assert os.listdir(tmp_path / "new") == ["shop"]


def test_one_that_is_there_already_is_not_overwritten(tmp_path):
    place = tmp_path / "shop"
    put_secret(place, "a" * 64, replace=False)
    put_secret(place, "b" * 64, replace=False)
    assert get_secret({"APP_SECRET_FILE": str(place)}) == "a" * 64
    put_secret(place, "c" * 64, replace=True)
    assert place.read_text() == "c" * 64 + "\n" and os.listdir(tmp_path) == ["shop"]


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [("s" * 64, 0o604, "chmod 600"), ("short", 0o600, "holds no secret"), ("", 0o600, "holds no secret")],
)
def test_what_is_no_secret(tmp_path, content, mode, message):
    place = tmp_path / "shop"
    place.write_text(content)
    place.chmod(mode)
    with pytest.raises(BuildlessError, match=message):
        make_secret(place)


def test_a_process_that_is_not_told_where_it_is(tmp_path):
    with pytest.raises(BuildlessError, match="APP_SECRET_FILE is not set"):
        get_secret({})
    with pytest.raises(BuildlessError, match="cannot be had: File exists"):
        (tmp_path / "file").touch()
        make_secret(tmp_path / "file" / "shop")
