"""Programs of a machine that are not here, or must not run: each notes its command line, and answers what the test says."""

from __future__ import annotations

import json
import os
import stat

import pytest

from buildless.node.layout import Layout

FAKE = """#!{python}
import json, os, sys
name, words, where = os.path.basename(sys.argv[0]), sys.argv[1:], {where!r}
with open(os.path.join(where, "calls"), "a") as calls:
    calls.write(json.dumps([name, *words]) + "\\n")
answers = json.load(open(os.path.join(where, "answers")))
for begins, code, out in answers:
    if [name, *words][: len(begins)] == begins:
        sys.stdout.write(out)
        sys.stdout.flush()
        sys.exit(code)
"""


class Programs:
    """What was called, and what is answered: by the beginning of the command line, the latest rule first."""

    def __init__(self, where, monkeypatch):
        self.where, self.answers = where, []
        (where / "calls").touch()
        (where / "answers").write_text("[]")
        monkeypatch.setenv("PATH", f"{where}{os.pathsep}{os.environ['PATH']}")

    def add(self, *names):
        import sys

        for name in names:
            path = self.where / name
            path.write_text(FAKE.format(python=sys.executable, where=str(self.where)))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answer(self, *begins, out="", code=0):
        self.answers.insert(0, [list(begins), code, out])
        (self.where / "answers").write_text(json.dumps(self.answers))

    @property
    def calls(self):
        return [json.loads(line) for line in (self.where / "calls").read_text().splitlines()]

    def forget(self):
        (self.where / "calls").write_text("")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    where = tmp_path / "programs"
    where.mkdir()
    made = Programs(where, monkeypatch)
    made.add("systemctl", "journalctl", "nginx")
    return made


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "root")
    for path in (made.units, made.sites, made.nginx / "conf.d", made.apps):
        path.mkdir(parents=True)
    (made.nginx / "nginx.conf").write_text("include conf.d/*.conf;\n")
    return made
