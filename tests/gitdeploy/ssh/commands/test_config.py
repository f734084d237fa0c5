"""What somebody may set as a config var, and what is said of the rest."""

import pytest

from gitdeploy.errors import BadName, NotFound
from gitdeploy.git.configvars import ConfigVars
from gitdeploy.ssh.commands.config import existing, parse


def test_settings_are_names_and_values():
    assert parse(["A=1", "B=x=y z", "C="], "") == {"A": "1", "B": "x=y z", "C": ""}


def test_one_value_may_come_on_standard_input():
    assert parse(["A=1", "KEY"], "-----BEGIN\nline\n") == {"A": "1", "KEY": "-----BEGIN\nline"}


@pytest.mark.parametrize(
    ("settings", "stdin", "says"),
    [
        (["A", "B"], "x", "only one value can come on standard input"),
        (["A=1", "A=2"], "", "A is set twice"),
        (["1A=x"], "", '"1A" is no name of a variable'),
        (["APP_NAME=x"], "", "APP_NAME is set by the environment"),
        (["PATH=/tmp"], "", "PATH is set by the environment"),
        (["A"], "", "nothing came on standard input for A; to set it to nothing, write: A="),
        (["A"], "\n", "to set it to nothing, write: A="),
        (["A"], "x\0y", "the value of A has a NUL character"),
        (["A=" + "x" * 70_000], "", "the value of A has more than 65,536 bytes"),
    ],
)
def test_what_cannot_be_set_is_said(settings, stdin, says):
    with pytest.raises(BadName, match=says):
        parse(settings, stdin)


def test_the_nearest_name_is_offered():
    config = ConfigVars({"DATABASE_URL": "x"})
    assert existing(config, "DATABASE_URL") == "x"
    with pytest.raises(NotFound, match="did you mean DATABASE_URL"):
        existing(config, "DATABSE_URL")
    with pytest.raises(NotFound, match="see: config"):
        existing(config, "A")
