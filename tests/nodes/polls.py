"""Somebody who does what docs/django.rst says: the commands of a section, and the files, on a machine with PostgreSQL.

The developer's PostgreSQL is that of the node, through ssh: so a test needs none on the machine that it runs on.
"""

from __future__ import annotations

import os
import socket
import subprocess

from ..functional.session import Running, eventually
from ..functional.terminal import Terminal
from .developer import Developer
from .machines import Machines, Node

PASSWORD = "apples and pears"


class Polls(Developer):
    """docs/django.rst."""

    document = "django.rst"

    def __init__(self, machines: Machines, node: Node) -> None:
        super().__init__(machines, node)
        self.tunnel: subprocess.Popen[bytes] | None = None

    def begin(self) -> Polls:
        super().begin()
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
        super().close()

    def output(self, line: str) -> str:
        if "createsuperuser" in line:
            return self.typed(line)
        if line == "gitdeploy serve":
            serving = Running(("gitdeploy", "serve"), self.env, self.directory)
            serving.until("Live: v1")
            serving.interrupt()
            return serving.wait().text
        return super().output(line)

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

    def ask(self, question: str, *choices: str) -> None:
        """Have the deployed application store a question."""
        script = f"from polls.models import Question\nasked = Question.objects.create(question_text={question!r})\n"
        script += "".join(f"asked.choice_set.create(choice_text={choice!r})\n" for choice in choices)
        self.run("run", "sampleapp", "manage.py", "shell", stdin=script.encode())


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
