"""Somebody who does what a document says: the commands of a section, and the files, with a server that has one node."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from ..functional.session import Done, Server, remove, run
from ..walkthrough import Command, File, section, steps
from .machines import ROOT, Machines, Node

SETTINGS = """\
web: {{processes: 1}}
environments:
  production: {{nodes: [{node}]}}
limits: {{boot: 30s, step: 400s}}
"""


class Developer:
    """`document` is a file in docs; `directory` is where the commands are run, as `cd` has it."""

    document: str

    def __init__(self, machines: Machines, node: Node) -> None:
        self.machines, self.node = machines, node
        self.text = (ROOT / "docs" / self.document).read_text()
        self.top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
        self.server = Server(self.top, SETTINGS.format(node=node.name) + machines.lend(self.top / "h", node))
        self.directory = self.server.user

    def begin(self) -> Developer:
        self.server.open()
        programs = self.top / "bin"
        programs.mkdir()
        ssh = programs / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.server.user}/ssh_config "$@"\n')
        ssh.chmod(0o755)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.env = {**self.server.env, "PATH": path, "TERM": "xterm-256color"}
        return self

    def close(self) -> None:
        try:
            self.server.close()
        finally:
            remove(self.top)

    # What the document says.

    def walk(self, title: str) -> None:
        """Do all of a section; what its commands show must be in what they write."""
        for step in steps(section(self.text, title)):
            if isinstance(step, File):
                self.write(step)
            elif step.line.startswith("cd "):
                self.directory = self.directory / step.line.removeprefix("cd ")
            else:
                self.do(step)

    def write(self, file: File) -> None:
        path = self.directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if file.more else "") + ("\n\n" if file.more else "") + file.text)

    def do(self, command: Command) -> None:
        line = command.line.replace("deploy@HOST:2222", f"deploy@127.0.0.1:{self.server.ssh_port}")
        line = line.replace("-p 2222 deploy@HOST", f"-p {self.server.ssh_port} deploy@127.0.0.1")
        output = self.output(line)
        missing = command.missing(re.sub(r"localhost:\d+", "localhost:8000", output.replace("\r", "\n")))
        assert not missing, f"{command.line} does not write {missing}\n{output}"

    def output(self, line: str) -> str:
        """Run a command of the document; returns what it wrote."""
        return self.done(line).text

    # And what tests want besides.

    def done(self, line: str, stdin: bytes | None = None) -> Done:
        return run(("sh", "-c", line), self.env, self.directory, stdin, 500).ok()

    def run(self, *words: str, stdin: bytes | None = None) -> Done:
        return self.server.ssh(*words, stdin=stdin).ok()
