"""An application that keeps notes in every service that it is told of, and a node that it runs on, in two environments."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ..functional.session import Server, remove
from .machines import Machines, Node
from .visitor import get

SETTINGS = """\
web: {{processes: 1}}
environments:
  production: {{nodes: [{node}]}}
  staging: {{nodes: [{node}]}}
  here: {{}}
limits: {{boot: 30s, step: 400s}}
"""
CODE = """\
import json, os, sys, traceback
from urllib.parse import parse_qs

def database(environ):
    if "CONFIG_PG_HOST" in environ:
        import psycopg2
        return psycopg2.connect(environ["DATABASE_URL"])
    import MySQLdb
    return MySQLdb.connect(host=environ["CONFIG_MYSQL_HOST"], user=environ["CONFIG_MYSQL_USER"], charset="utf8mb4",
                           passwd=environ["CONFIG_MYSQL_PASSWORD"], db=environ["CONFIG_MYSQL_DBNAME"])

def sql(statement, *values):
    connection = database(os.environ)
    try:
        cursor = connection.cursor()
        cursor.execute(statement, values)
        rows = [list(row) for row in cursor.fetchall()] if cursor.description else None
        connection.commit()
        return rows
    finally:
        connection.close()

def redis(*words):
    import redis as client
    found = client.Redis.from_url(os.environ["REDIS_URL"]).execute_command(*words)
    return found.decode() if isinstance(found, bytes) else repr(found)

def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)

def run(what):
    return eval(what, globals())

def application(environ, start_response):
    path, asked = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    try:
        answer = run(asked["do"][0]) if path == "/do" else "well"
    except Exception:
        answer = {"error": traceback.format_exc()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"""


class Keeper:
    """The app. `do` has it evaluate an expression in one of its processes."""

    def __init__(self, server: Server, node: Node, name: str, services: str, deb: str = "python3-psycopg2") -> None:
        self.server, self.node, self.app = server, node, server.app(name)
        self.name = name
        yaml = f"platform: python, wsgi\napp: keeper:application\nservices: {services}\n" + (
            f"deb: [{deb}]\n" if deb else ""
        )
        self.yaml, self.code = yaml, CODE
        self.app.commit("Keep notes", {"app.yaml": yaml, "keeper.py": CODE, "static/a.txt": "of the tree"})

    def push(self, remote: str = "deploy"):
        return self.app.push(remote, "master", limit=500)

    def host(self, environment: str = "") -> str:
        return f"{self.name}.{environment}.localhost" if environment else f"{self.name}.localhost"

    def get(self, path: str, environment: str = "", host: str = ""):
        return get(self.node, host or self.host(environment), path)

    def do(self, what: str, environment: str = ""):
        answer = self.get(f"/do?do={quote(what)}", environment)
        assert answer.status == 200, answer
        return json.loads(answer.text)

    def environ(self, environment: str = "") -> dict[str, str]:
        return self.do("dict(os.environ)", environment)


class Yard:
    """The server and the node."""

    def __init__(self, machines: Machines, node: Node, top: Path) -> None:
        self.node = node
        self.server = Server(top, SETTINGS.format(node=node.name) + machines.lend(top / "h", node))

    def keeper(self, name: str, services: str, deb: str = "python3-psycopg2") -> Keeper:
        return Keeper(self.server, self.node, name, services, deb)

    def save(self, path: Path, *words: str) -> str:
        """``ssh deploy@host backup ... > path``; returns what it says beside it."""
        with path.open("wb") as file:
            done = subprocess.run(
                self.server.ssh_argv(*words), env=self.server.env, stdout=file, stderr=subprocess.PIPE, timeout=300
            )
        text = done.stderr.decode()
        assert done.returncode == 0, text
        return text

    def send(self, path: Path, *words: str):
        """``ssh deploy@host restore ... < path``."""
        return self.server.ssh(*words, stdin=path.read_bytes(), limit=300)


@contextmanager
def yard_on(machines: Machines, nodes: Callable[..., list[Node]], name: str) -> Iterator[Yard]:
    """A server on a home of its own, and a node of that name."""
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    yard = Yard(machines, nodes(names=[name])[0], top)
    try:
        yard.server.open()
        yield yard
    finally:
        yard.server.close()
        remove(top)
