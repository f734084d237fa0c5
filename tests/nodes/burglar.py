"""What an app tries to get at of another one on its node, and of itself: a program for ``run APP python -``.

It is told what there is, and says of each try how it was refused: the name of an errno, what a server answers in its own
words or numbers, or ``done``. Whatever else goes wrong is an exception, so that no mistake of its own looks like a refusal.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

Try = tuple[str, Callable[[], str]]
DONE = "done"
SECONDS = 20


def files(told: dict[str, Any]) -> Iterator[Try]:
    for path in told["directories"]:
        yield f"list {path}", lambda path=path: listed(path)
        yield f"write {path}", lambda path=path: write(f"{path}/burgled")
    for path in told["files"]:
        yield f"read {path}", lambda path=path: read(path)


def listed(path: str) -> str:
    os.listdir(path)
    return DONE


def write(path: str) -> str:
    with open(path, "x"):
        os.unlink(path)
    return DONE


def read(path: str) -> str:
    with open(path, "rb") as file:
        file.read(1)
    return DONE


def ways_in(told: dict[str, Any]) -> Iterator[Try]:
    for path in told["sockets"]:
        yield f"connect {path}", lambda path=path: connect(socket.AF_UNIX, path)
    for port in told["ports"]:
        yield f"connect {port}", lambda port=port: connect(socket.AF_INET, ("127.0.0.1", port))
    for pid in told["pids"]:
        yield f"signal {pid}", lambda pid=pid: os.kill(pid, 0) or DONE  # what may be signalled is asked as for SIGKILL
        yield f"environ {pid}", lambda pid=pid: read(f"/proc/{pid}/environ")


def connect(family: int, where: Any) -> str:
    with socket.socket(family) as one:
        one.settimeout(SECONDS)
        one.connect(where)
    return DONE


def accounts(told: dict[str, Any]) -> Iterator[Try]:
    """Of servers that apps share, with no password and with its own; as the other one, and as itself where the other one is."""
    its, mine = told["variables"], dict(os.environ)
    if "CONFIG_PG_DBNAME" in its:
        user, name, own = its["CONFIG_PG_USER"], its["CONFIG_PG_DBNAME"], mine.get("CONFIG_PG_PASSWORD")
        yield "postgresql without a password", lambda: postgresql(user, name, None)
        yield "postgresql by the socket", lambda: postgresql(user, name, None, "/var/run/postgresql")
        if own is not None:
            yield "postgresql with its own password", lambda: postgresql(user, name, own)
            yield "postgresql as itself", lambda: postgresql(mine["CONFIG_PG_USER"], name, own)
    if "CONFIG_MYSQL_DBNAME" in its:
        login, base, secret = its["CONFIG_MYSQL_USER"], its["CONFIG_MYSQL_DBNAME"], mine.get("CONFIG_MYSQL_PASSWORD")
        yield "mysql without a password", lambda: mysql(login, base, None)
        yield "mysql by the socket", lambda: mysql(login, base, None, "--protocol=socket")
        if secret is not None:
            yield "mysql with its own password", lambda: mysql(login, base, secret)
            yield "mysql as itself", lambda: mysql(mine["CONFIG_MYSQL_USER"], base, secret)
    if "CONFIG_REDIS_PORT" in its:
        port, word = int(its["CONFIG_REDIS_PORT"]), mine.get("CONFIG_REDIS_PASSWORD")
        yield "redis without a password", lambda: redis(port, "KEYS *")
        if word is not None:
            yield "redis with its own password", lambda: redis(port, f"AUTH {word}")


def postgresql(user: str, name: str, password: str | None, host: str = "127.0.0.1") -> str:
    argv = ("psql", "--no-password", "--no-psqlrc", f"--host={host}", f"--username={user}", f"--dbname={name}")
    said = client((*argv, "--command=SELECT 1"), {"PGPASSWORD": password} if password else {})
    reason = re.split(r" failed: (?:FATAL:  )?", said)[-1].splitlines()[0]
    return reason.replace(f'user "{user}"', 'user "USER"').replace(f'database "{name}"', 'database "NAME"')


def mysql(user: str, name: str, password: str | None, *how: str) -> str:
    argv = ("mysql", "--no-defaults", *(how or ("--host=127.0.0.1",)), f"--user={user}", f"--database={name}")
    said = client((*argv, "--execute=SELECT 1"), {"MYSQL_PWD": password} if password else {})
    return said if said == DONE else re.findall(r"ERROR (\d+)", said)[0]


def client(argv: tuple[str, ...], more: dict[str, str]) -> str:
    """What a client of a database says that was not let in."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **more}
    done = subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    return DONE if done.returncode == 0 else done.stderr


def redis(port: int, line: str) -> str:
    with socket.create_connection(("127.0.0.1", port), SECONDS) as one:
        one.sendall(line.encode() + b"\r\n")
        answer = one.recv(1000).decode()
    return answer.split()[0] if answer.startswith("-") else DONE


def found(act: Callable[[], str]) -> str:
    try:
        return act()
    except OSError as error:
        assert error.errno is not None, error
        return errno.errorcode[error.errno]


def main(told: dict[str, dict[str, Any]]) -> None:
    """`told` has, by the name of each app, its directories, files, sockets, ports, pids and its variables without secrets."""
    tries = {name: [*files(own), *ways_in(own), *accounts(own)] for name, own in told.items()}
    print(json.dumps({name: {what: found(act) for what, act in acts} for name, acts in tries.items()}))
