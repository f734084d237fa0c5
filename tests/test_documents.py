"""The documents read well for docutils, and name files, commands and settings that are there."""

import os
import re
from pathlib import Path

import docutils.core
import docutils.utils
import pytest

from gitdeploy.develop.table import DEVELOP
from gitdeploy.local.table import LOCAL
from gitdeploy.ssh.commands.table import COMMANDS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst")])
PATH = re.compile(r"``((?:gitdeploy|buildless|hooks|node-setup|bin|tests|docs|demo)/[\w./*-]*)``")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_docutils_has_nothing_to_say(path: Path) -> None:
    settings = {"report_level": 2, "halt_level": 2, "raw_enabled": False, "syntax_highlight": "none"}
    docutils.core.publish_doctree(path.read_text(encoding="utf-8"), str(path), settings_overrides=settings)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_are_named_are_there(path: Path) -> None:
    named = PATH.findall(path.read_text(encoding="utf-8"))
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/")))] == []


def test_the_readme_names_the_other_documents() -> None:
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    missing = [str(path.relative_to(ROOT)) for path in DOCUMENTS if path.name != "README.rst"]
    assert [name for name in missing if name not in readme] == []


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "commands.rst").read_text(encoding="utf-8")
    titles = set(re.findall(r"^([a-z:-]+)\n-+$", text, re.MULTILINE))
    assert titles == {*COMMANDS, *LOCAL, *DEVELOP, "server", "setup-node"}


@pytest.mark.parametrize(
    "name", ["bin/demo", "bin/test", "bin/check", "bin/venv", ".ci/run", "hooks/pre-receive", "hooks/post-receive"]
)
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    assert (ROOT / name).read_bytes().startswith(b"#!/bin/")
