import os
import time

import pytest

from buildless.errors import NodeError
from buildless.node import packages


def drive(generator):
    """What a generator of lines says, and what it returns."""
    said = []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return said, end.value


@pytest.fixture
def apt(programs, tmp_path, monkeypatch):
    """An apt of lists that were fetched just now, and nothing installed."""
    programs.add("apt-get", "dpkg-query", "dpkg", "debconf-set-selections")
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "deb.example.org_Packages").touch()
    monkeypatch.setattr(packages, "LISTS", lists)
    monkeypatch.setattr(packages, "BROKEN_OFF", tmp_path / "updates")
    monkeypatch.setattr(packages, "ENVIRON", {**packages.ENVIRON, "PATH": os.environ["PATH"]})
    return programs


def called(programs):
    return [call[:2] for call in programs.calls if call[0] != "dpkg-query"]


def test_apts_command_line():
    assert " ".join(packages.install_argv(["sl", "g++"], 99.5)) == (
        "apt-get install --yes -q --no-install-recommends --no-remove -o DPkg::Lock::Timeout=99"
        " -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o APT::Color=0"
        " -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -- sl g++"
    )


def test_where_nothing_is_missing_apt_does_not_run(apt):
    apt.answer("dpkg-query", out="installed sl sl \n")
    assert drive(packages.install(["sl"], ["sl sl/x string y"], 60)) == ([], {"installed": []})
    assert called(apt) == []


def test_what_is_missing_is_installed_and_what_apt_says_is_said(apt):
    apt.answer("apt-get", "install", out="Unpacking sl ...\nSetting up sl ...\n")
    said, answer = drive(packages.install(["sl"], [], 60))
    assert said == ["Unpacking sl ...", "Setting up sl ..."] and answer == {"installed": ["sl"]}
    assert called(apt) == [["apt-get", "install"]]


def test_answers_come_before_the_packages(apt):
    drive(packages.install(["sl"], ["sl\tsl/x\tstring\ty"], 60))
    assert called(apt) == [["debconf-set-selections"], ["apt-get", "install"]]


@pytest.mark.parametrize("age", [None, 2 * 86_400])
def test_lists_that_are_old_or_missing_are_fetched_first(apt, age):
    if age is None:
        (packages.LISTS / "deb.example.org_Packages").unlink()
    else:
        os.utime(packages.LISTS, (time.time() - age,) * 2)
    drive(packages.install(["sl"], [], 60))
    assert called(apt) == [["apt-get", "update"], ["apt-get", "install"]]
    assert time.time() - packages.LISTS.stat().st_mtime < 60


@pytest.mark.parametrize(("age", "updates"), [(7200, 1), (600, 0)])
def test_a_package_that_is_not_found_may_be_in_newer_lists(apt, age, updates):
    os.utime(packages.LISTS, (time.time() - age,) * 2)
    apt.answer("apt-get", "install", code=100, out="Reading...\nE: Unable to locate package sl\n")
    with pytest.raises(NodeError, match=r"apt: Unable to locate package sl; change deb in app\.yaml") as caught:
        drive(packages.install(["sl"], [], 60))
    assert caught.value.details == ()  # it was said as it came
    assert called(apt).count(["apt-get", "update"]) == updates


def test_an_apt_that_was_broken_off_is_finished_first(apt, tmp_path):
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "0001").touch()
    drive(packages.install(["sl"], [], 60))
    assert called(apt) == [["dpkg", "--configure"], ["apt-get", "install"]]


@pytest.mark.parametrize(
    "name", ["-oX=y", "sl-", "sl+", "sl=1", "sl/sid", "./x.deb", "a::b", "http://x/y.deb", "", "sl sl"]
)
def test_what_is_no_name_never_gets_to_apt(apt, name):
    with pytest.raises(NodeError, match="is no Debian package"):
        drive(packages.install([name], [], 60))
    assert apt.calls == []


def test_an_answer_that_is_none_never_gets_to_debconf(apt):
    with pytest.raises(NodeError, match="is no answer for debconf"):
        drive(packages.install(["sl"], ["sl sl/x string y\nsl sl/z string y"], 60))
    assert called(apt) == []


def test_a_run_has_an_end(apt):
    with pytest.raises(NodeError, match="sleep did not end in time"):
        drive(packages.run(("sleep", "60"), time.monotonic() + 0.2))
