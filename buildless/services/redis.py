"""redis: a Redis of the app's own, which asks for a password."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Mapping, Tuple
from urllib.parse import unquote

from buildless.errors import NodeError
from buildless.node import firewall, instance, tool
from buildless.node.versions import remove_tree
from buildless.service import Account, Service, split

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout

PORT = 6379
SECONDS = 10.0


class Redis(Service):
    """Redis keeps all in memory, in one file on disk, and knows users but no apps: one server for each keeps them apart.

    ``memory: [64MB]`` is how much it may hold; past that it forgets what was not used for longest.
    """

    debs = ("redis-server",)
    variables = ("REDIS_URL",)
    schemes = ("redis", "rediss")
    options = ("memory",)
    surplus = ("redis-server.service",)

    def problem(self, options: Mapping[str, Tuple[str, ...]]) -> str | None:
        return memory_problem(options)

    def url(self, account: Account) -> str:
        return f"redis://:{account.password}@{account.host or '127.0.0.1'}:{account.port or PORT}/0"

    def told(self, url: str) -> Dict[str, str]:
        parts = split(url, self.schemes)
        return {
            "CONFIG_REDIS_HOST": parts.hostname or "",
            "CONFIG_REDIS_PORT": str(parts.port or PORT),
            "CONFIG_REDIS_PASSWORD": unquote(parts.password or ""),
            "CONFIG_REDIS_DB": parts.path.strip("/") or "0",
            "REDIS_URL": url,
        }

    def install(self, home: AppLayout, account: Account) -> int:
        port = instance.port_for(home, self.name, account.port)
        data = self.data(home)
        data.mkdir(parents=True, exist_ok=True)
        home.node.owners.give(home.name, data)  # which there is a user for from now on
        firewall.install(home.node, [replace(account, port=port)])
        instance.run(home, self.name, *self.run_with(home, replace(account, port=port)))
        return port

    def run_with(self, home: AppLayout, account: Account) -> Tuple[Dict[Path, str], Dict[str, object]]:
        """The files that it reads when it starts, and what its unit says."""
        data = self.data(home)
        limit = account.options.get("memory", ())
        text = configuration(account, account.port, data, instance.size(limit[0]) if limit else 0)
        path = configuration_file(data)
        return {path: text}, {"configuration": path, "data": data}

    def data(self, home: AppLayout) -> Path:
        return home.node.accounts.parent / "redis" / home.name

    def interrupts(self, home: AppLayout, account: Account) -> bool:
        return instance.interrupts(home, self.name, *self.run_with(home, account))

    def is_finished(self, home: AppLayout, account: Account) -> bool:
        return instance.is_finished(home, self.name) and super().is_finished(home, account)

    def check(self, home: AppLayout, account: Account) -> None:
        ask(account, "PING")

    def dump(self, home: AppLayout, account: Account, out: BinaryIO) -> None:
        """SAVE answers when the file is written. It is small: all of it is in memory as well. The directory is the app's own: a
        link in there is not followed.
        """
        ask(account, "SAVE", seconds=tool.LONG)
        held = os.open(self.data(home) / "dump.rdb", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(held, "rb") as file:
            tool.copy(file, out)

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        self.drop(home, account)
        if dumped is None:
            return
        new = self.beside(home)
        with new.open("xb") as file:
            tool.copy(dumped, file)
        tool.run(("redis-check-rdb", str(new)), timeout=tool.LONG, **readable(home, new))

    def beside(self, home: AppLayout) -> Path:
        """On the same disk, where the app cannot get to it."""
        return self.data(home).parent / f".new-{home.name}.rdb"

    def swap(self, home: AppLayout, account: Account) -> None:
        """It reads the file when it starts, and writes none when it is stopped without saving."""
        data = self.data(home) / "dump.rdb"
        try:
            ask(account, "SHUTDOWN", "NOSAVE", ends=True)
            instance.stop(home, self.name)
            if self.beside(home).exists():
                self.beside(home).replace(data)
            else:
                data.unlink(missing_ok=True)
        finally:
            instance.start(home, self.name)

    def drop(self, home: AppLayout, account: Account) -> None:
        self.beside(home).unlink(missing_ok=True)

    def remove(self, home: AppLayout, account: Account) -> None:
        instance.remove(home, self.name)
        self.drop(home, account)
        configuration_file(self.data(home)).unlink(missing_ok=True)
        remove_tree(self.data(home))


def configuration_file(data: Path) -> Path:
    """Beside the data; without the dot it might be those of another app."""
    return data.with_name(f".{data.name}.conf")


def readable(home: AppLayout, path: Path) -> Dict[str, Any]:
    """Let the app's user have a file; what `subprocess` has to be told to read it as that one."""
    who = home.node.owners.process(home.name)
    shutil.chown(path, who["user"], who["group"])
    path.chmod(0o600)
    return who


def memory_problem(options: Mapping[str, Tuple[str, ...]]) -> str | None:
    said = options.get("memory", ("64MB",))
    try:
        sizes = [instance.size(text) for text in said]
    except ValueError as error:
        return f"memory: {error}"
    return None if len(sizes) == 1 else "memory: write one size, such as 64MB"


def configuration(account: Account, port: int, data: Path, memory: int) -> str:
    """redis.conf of an app."""
    lines = [
        f"bind {'* -::*' if account.host else '127.0.0.1'}",  # an address may not be there yet when it starts
        f"port {port}",
        f"requirepass {account.password}",
        f"dir {data}",
        "dbfilename dump.rdb",
        "save 900 1 300 10 60 10000",
        "appendonly no",
        "daemonize no",
        "supervised systemd",
        "rename-command CONFIG ''",
        "rename-command DEBUG ''",
        "rename-command MODULE ''",
        "rename-command REPLICAOF ''",
        "rename-command SLAVEOF ''",
    ]
    if memory:
        lines += [f"maxmemory {memory}", "maxmemory-policy allkeys-lru"]
    return "".join(f"{line}\n" for line in lines).replace("''", '""')


def ask(account: Account, *words: str, seconds: float = SECONDS, ends: bool = False) -> str:
    """What Redis answers (its protocol is a line for one that is short). Raises NodeError."""
    try:
        with socket.create_connection(("127.0.0.1", account.port), seconds) as connection:
            file = connection.makefile("rwb")
            for command in (("AUTH", account.password), words):
                file.write(
                    b"*%d\r\n" % len(command)
                    + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in command)
                )
                file.flush()
                line = file.readline().decode("utf-8", "replace").strip()
                if line[:1] not in ("+", ":") and not (ends and command is words and not line):
                    raise NodeError(f"redis answers {line or 'nothing'} to {command[0]}; look at it on the node")
            return line[1:]
    except OSError as error:
        raise NodeError(
            f"redis does not answer: {error}; on the node, look at: journalctl -u 'service-*-redis'"
        ) from error


SERVICE = Redis()
