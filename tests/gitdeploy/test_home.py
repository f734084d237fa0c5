"""Whose a home is, and how root gives away what it made there."""

import os
from pathlib import Path

import pytest

from gitdeploy.errors import Refused
from gitdeploy.home import Home, give

NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def test_a_home_that_is_not_there_yet_is_for_whoever_makes_it(tmp_path: Path) -> None:
    assert Home(tmp_path / "new").owner() is None


def test_the_owner_and_root_may_work_on_a_home_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = tmp_path.stat().st_uid
    for allowed in (uid, 0):
        monkeypatch.setattr(os, "geteuid", lambda allowed=allowed: allowed)
        owner = Home(tmp_path).owner()
        assert owner is not None and owner.st_uid == uid
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(Refused, match=r"belongs to .*; do this as root"):
        Home(tmp_path).owner()


@root_only
def test_everything_is_given_and_the_second_time_nothing(tmp_path: Path) -> None:
    top = tmp_path / "home"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").touch(0o400)
    assert give(top, NOBODY, NOBODY)
    assert {path.lstat().st_uid for path in (top, *top.rglob("*"))} == {NOBODY}
    assert not give(top, NOBODY, NOBODY)
    assert not give(top / "not there", NOBODY, NOBODY)


@root_only
def test_what_links_lead_to_is_not_given(tmp_path: Path) -> None:
    top, other = tmp_path / "home", tmp_path / "other"
    top.mkdir()
    other.mkdir()
    (other / "file").touch()
    (top / "directory").symlink_to(other)
    (top / "file").symlink_to(other / "file")
    (tmp_path / "link").symlink_to(other)
    give(top, NOBODY, NOBODY)
    give(tmp_path / "link", NOBODY, NOBODY)
    assert (top / "file").lstat().st_uid == NOBODY
    assert {path.stat().st_uid for path in (other, other / "file")} == {0}
