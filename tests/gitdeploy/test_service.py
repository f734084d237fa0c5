"""What systemd is told of the server, and what is read back of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy import service
from gitdeploy.errors import Refused
from gitdeploy.server import FINISH
from gitdeploy.service import Service

PYTHON = Path("/opt/gitdeploy/bin/python3")
SERVICE = Service("gitdeploy-server", service.HOME, "tcp:2222", "tcp:80", (PYTHON, Path("/usr")), "abc")


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_the_unit_runs_the_same_interpreter_as_its_user_and_may_take_low_ports() -> None:
    unit = lines(SERVICE.unit())
    home = "/var/lib/gitdeploy-server"
    assert f"ExecStart={PYTHON} -m gitdeploy --home {home} server --ssh tcp:2222 --http tcp:80" in unit
    for line in (
        "Type=notify", "User=gitdeploy-server", "Restart=on-failure", "KillMode=mixed", "ProtectHome=yes",
        f"ReadWritePaths={home}", "AmbientCapabilities=CAP_NET_BIND_SERVICE", "StartLimitIntervalSec=0",
    ):  # fmt: skip
        assert line in unit


def test_a_stop_waits_for_deploys_past_their_commit_point_and_for_applications() -> None:
    [limit] = [int(line.partition("=")[2]) for line in lines(SERVICE.unit()) if line.startswith("TimeoutStopSec=")]
    assert limit >= FINISH + 20


@pytest.mark.parametrize("path", ["/home/alice/venv/bin/python", "/root/.local/share/python", "/home"])
def test_programs_in_a_home_can_be_read(path: str) -> None:
    unit = replace(SERVICE, programs=(PYTHON, Path(path))).unit()
    assert "ProtectHome=read-only" in lines(unit)


def test_what_was_told_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "defaults").write_text(SERVICE.defaults())
    (tmp_path / "unit").write_text(SERVICE.unit())
    assert service.settings(tmp_path / "defaults") == {
        "GITDEPLOY_USER": "gitdeploy-server", "GITDEPLOY_HOME": "/var/lib/gitdeploy-server",
        "GITDEPLOY_SSH": "tcp:2222", "GITDEPLOY_HTTP": "tcp:80",
    }  # fmt: skip
    assert service.listening(tmp_path / "unit") == ("tcp:2222", "tcp:80")
    assert (service.settings(tmp_path / "none"), service.listening(tmp_path / "none")) == ({}, ())


@pytest.mark.parametrize("bad", ["tcp:2222\nUser=root", "tcp:22 22", "tcp:22;x", "tcp:$PORT", "tcp:%n", 'tcp:"22"'])
def test_nothing_can_be_more_than_a_word_of_the_unit(bad: str) -> None:
    for changed in (replace(SERVICE, ssh=bad), replace(SERVICE, http=bad), replace(SERVICE, home=Path(bad))):
        with pytest.raises(Refused, match="without spaces"):
            changed.defaults()


def test_another_file_and_another_library_are_another_installation(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = service.fingerprint([tmp_path], ["twisted 24.7", "jinja2 3.1"])
    assert service.fingerprint([tmp_path], ["jinja2 3.1", "twisted 24.7"]) == before
    assert service.fingerprint([tmp_path], ["twisted 24.11", "jinja2 3.1"]) != before
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("1")
    assert service.fingerprint([tmp_path], ["twisted 24.7", "jinja2 3.1"]) == before
    (tmp_path / "a.py").write_text("2")
    assert service.fingerprint([tmp_path], ["twisted 24.7", "jinja2 3.1"]) != before
