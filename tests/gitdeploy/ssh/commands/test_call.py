"""How commands are written, of all of them."""

import pytest

from gitdeploy.develop.table import DEVELOP
from gitdeploy.errors import BadName
from gitdeploy.local.table import LOCAL
from gitdeploy.ssh.commands.call import HowTo
from gitdeploy.ssh.commands.table import COMMANDS, MACHINE, WRITING

ALL = {f"{where} {spec.name}": spec for where, found in (("ssh", COMMANDS), ("local", LOCAL), ("develop", DEVELOP))
       for spec in found.values()}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_help_says_how_it_is_written_and_what_it_does(name):
    spec = ALL[name]
    for words in (["--help"], ["-h"]):
        with pytest.raises(HowTo) as asked:
            spec.parser().read(words)
        assert str(asked.value) == f"usage: {spec.parser().written()}\n{spec.summary}"


@pytest.mark.parametrize("name", ALL)
def test_what_may_be_left_out_is_not_missed(name):
    written = ALL[name].parser().written()
    try:
        ALL[name].parser().read([])
    except BadName as error:
        missed = str(error).partition(" are required: ")[2].partition("; usage: ")[0].split(", ")
        assert [one for one in missed if f"[{one} ...]" in written or f"[{one}]" in written.split()] == []


def test_options_of_a_command_that_is_run_are_its_own():
    assert COMMANDS["run"].parser().read(["shop", "ls", "--help"]).command == ["ls", "--help"]
    assert DEVELOP["run"].parser().read(["ls", "--help"]).words == ["ls", "--help"]


def test_usages_are_for_people():
    assert DEVELOP["cron"].parser().written() == "cron [DIR] NAME"
    assert DEVELOP["create-config"].parser().written() == "create-config [DIR] TARGET"
    assert DEVELOP["run"].parser().written() == "run [--remote REMOTE] [DIR] COMMAND ..."
    assert LOCAL["setup-node"].parser().written() == "setup-node [--new-host-key] NAME..."


def test_every_command_is_somewhere():
    assert {*MACHINE} == {"server", *LOCAL}
    assert {*WRITING} == {*DEVELOP} - {*COMMANDS}
