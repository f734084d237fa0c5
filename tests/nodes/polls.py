"""Somebody who does what docs/django.rst says: the commands of a section, and the files, on a machine with PostgreSQL.

The developer's PostgreSQL is that of the node, through ssh: so a test needs none on the machine that it runs on.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from ..functional.session import Done, Running, Server, eventually, remove, run
from ..functional.terminal import Terminal
from ..walkthrough import Command, File, section, steps
from .machines import ROOT, Machines, Node

TEXT = (ROOT / "docs" / "django.rst").read_text()
PASSWORD = "apples and pears"
SETTINGS = """\
web: {{processes: 1}}
environments:
  production: {{nodes: [{node}], unit_test: yes}}
limits: {{boot: 30s, step: 400s}}
"""


class Developer:
    """`directory` is where the commands are run, as `cd` has it."""

    def __init__(self, machines: Machines, node: Node) -> None:
        self.machines, self.node = machines, node
        self.top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
        self.server = Server(self.top, SETTINGS.format(node=node.name) + machines.lend(self.top / "h", node))
        self.directory = self.server.user
        self.tunnel: subprocess.Popen[bytes] | None = None

    def begin(self) -> Developer:
        self.server.open()
        programs = self.top / "bin"
        programs.mkdir()
        ssh = programs / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.server.user}/ssh_config "$@"\n')
        ssh.chmod(0o755)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.env = {**self.server.env, "PATH": path, "TERM": "xterm-256color"}
        self.postgresql()
        return self

    def postgresql(self) -> None:
        """What 'What you need' says, by other means."""
        self.node.ssh("apt-get", "install", "-qq", "-y", "--no-install-recommends", "postgresql", limit=400)
        sql = f"CREATE ROLE alice LOGIN CREATEDB PASSWORD '{PASSWORD}'; CREATE DATABASE alice_polls OWNER alice;"
        self.node.ssh("runuser", "-u", "postgres", "--", "psql", "-qX", stdin=sql.encode())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        fleet, logins = self.machines.fleet, self.machines.logins
        self.tunnel = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "ssh", "-N", "-F", os.devnull, "-i", str(logins.setup),
             "-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", f"HostKeyAlias={self.node.name}", "-o", "BatchMode=yes",
             "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:127.0.0.1:5432", f"root@{self.node.address}"],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        eventually("the tunnel is open", lambda: listens(port), 30)
        settings = self.server.user / ".config" / "gitdeploy" / "development.yaml"
        settings.parent.mkdir(parents=True)
        address = f"postgresql://alice:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/alice_polls"
        settings.write_text(f'postgresql: {{url: "{address}"}}\npostgis: {{url: "{address}"}}\n')

    def close(self) -> None:
        if self.tunnel is not None:
            self.tunnel.kill()
            self.tunnel.wait()
        try:
            self.server.close()
        finally:
            remove(self.top)

    # What the document says.

    def walk(self, title: str) -> None:
        """Do all of a section; what its commands show must be in what they write."""
        for step in steps(section(TEXT, title)):
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
        if "createsuperuser" in line:
            return self.typed(line)
        if line == "gitdeploy serve":
            serving = Running(("gitdeploy", "serve"), self.env, self.directory)
            serving.until("Live: v1")
            serving.interrupt()
            return serving.wait().text
        return self.done(line).text

    def typed(self, line: str) -> str:
        """At a terminal, with a password where one is asked for."""
        terminal = Terminal(("sh", "-c", line), self.env, self.directory)
        try:
            for question in ("Password: ", "Password (again): "):
                terminal.until(question)
                terminal.type(f"{PASSWORD}\n")
            terminal.until("Superuser created successfully.")
            assert terminal.wait() == 0, terminal.seen
            return terminal.seen
        finally:
            terminal.close()

    # And what tests want besides.

    def done(self, line: str, stdin: bytes | None = None) -> Done:
        return run(("sh", "-c", line), self.env, self.directory, stdin, 500).ok()

    def run(self, *words: str, stdin: bytes | None = None) -> Done:
        return self.server.ssh(*words, stdin=stdin).ok()

    def ask(self, question: str, *choices: str) -> None:
        """Have the deployed application store a question."""
        script = f"from polls.models import Question\nasked = Question.objects.create(question_text={question!r})\n"
        script += "".join(f"asked.choice_set.create(choice_text={choice!r})\n" for choice in choices)
        self.run("run", "sampleapp", "manage.py", "shell", stdin=script.encode())


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
