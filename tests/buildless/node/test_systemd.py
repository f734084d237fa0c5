import pytest

from buildless.errors import NodeError
from buildless.node import systemd


def unit(active, sub, code="1"):
    text = f"Id=app-a-web@v1.service\nActiveState={active}\nSubState={sub}\nExecMainStatus=9\nExecMainCode={code}\n"
    [found] = systemd.parse(text, 1.0)
    return found


@pytest.mark.parametrize(
    ("active", "sub", "state"),
    [
        ("active", "running", "running"),
        ("activating", "start", "booting"),
        ("activating", "auto-restart", "restarting"),
        ("deactivating", "stop", "draining"),
        ("deactivating", "stop-sigterm", "draining"),
        ("failed", "failed", "down"),
        ("inactive", "dead", "stopped"),
    ],
)
def test_states_in_the_words_of_ps(active, sub, state):
    assert unit(active, sub).state == state


def test_how_a_process_ended():
    assert unit("failed", "failed").status == "ended with exit code 9"
    assert unit("failed", "failed", "2").status == "was ended by signal 9"


def test_units_that_are_not_there_are_none():
    assert systemd.parse("\n", 1.0) == [] and systemd.parse("Id=\n\nId=nginx.service\n", 1.0) == []


def test_what_is_not_loaded_need_not_be_ended(programs):
    programs.answer("systemctl", "stop", code=5)
    systemd.kill("shop", ["v1"])
    programs.answer("systemctl", "stop", code=1)
    with pytest.raises(NodeError, match="systemctl stop failed"):
        systemd.kill("shop", ["v1"])


def test_nothing_to_do_asks_nobody(programs):
    systemd.kill("shop", [])
    systemd.end([])
    systemd.begin([])
    assert programs.calls == []
