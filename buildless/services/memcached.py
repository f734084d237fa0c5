"""memcached: a cache of the app's own, on a socket that only the app can open: memcached has no passwords worth the name."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, BinaryIO, Dict, Mapping, Tuple

from buildless.errors import NodeError
from buildless.node import instance
from buildless.service import Account, Service, split
from buildless.services.redis import memory_problem

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout

MEMORY = 64_000_000


class Memcached(Service):
    """``memory: [64MB]`` is how much it may hold; past that it forgets what was not used for longest."""

    debs = ("memcached",)
    variables = ("MEMCACHED_URL",)
    schemes = ("memcached", "memcache")
    options = ("memory",)
    surplus = ("memcached.service",)
    keeps = False
    shared = False

    def problem(self, options: Mapping[str, Tuple[str, ...]]) -> str | None:
        return memory_problem(options)

    def environ(self, account: Account, state: str) -> Dict[str, str]:
        if account.url:
            return self.told(account.url)
        path = f"/run/service-{account.app}-memcached/memcached.sock"
        return {"CONFIG_MEMCACHED_SOCKET": path, "MEMCACHED_SERVERS": f"unix:{path}"}

    def told(self, url: str) -> Dict[str, str]:
        parts = split(url, self.schemes)
        host, port = parts.hostname or "", str(parts.port or 11211)
        told = {"CONFIG_MEMCACHED_HOST": host, "CONFIG_MEMCACHED_PORT": port}
        return {**told, "MEMCACHED_SERVERS": f"{host}:{port}", "MEMCACHED_URL": url}

    def install(self, home: AppLayout, account: Account) -> int:
        instance.run(home, self.name, {}, self.run_with(account))
        return 0

    def run_with(self, account: Account) -> Dict[str, object]:
        """What its unit says."""
        size = account.options.get("memory", ())
        return {"megabytes": max(1, (instance.size(size[0]) if size else MEMORY) // 10**6)}

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        """There is nothing to load."""

    def swap(self, home: AppLayout, account: Account) -> None:
        instance.stop(home, self.name)
        instance.start(home, self.name)

    def remove(self, home: AppLayout, account: Account) -> None:
        instance.remove(home, self.name)

    def interrupts(self, home: AppLayout, account: Account) -> bool:
        return instance.interrupts(home, self.name, {}, self.run_with(account))

    def is_finished(self, home: AppLayout, account: Account) -> bool:
        return instance.is_finished(home, self.name) and super().is_finished(home, account)

    def check(self, home: AppLayout, account: Account) -> None:
        path = str(home.node.root / "run" / f"service-{home.name}-memcached" / "memcached.sock")
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(path)
                connection.sendall(b"version\r\n")
                answer = connection.recv(100)
        except OSError as error:
            raise NodeError(f"memcached does not answer: {error}; look at it on the node") from error
        if not answer.startswith(b"VERSION"):
            raise NodeError(f"memcached answers {answer!r}; look at it on the node")


SERVICE = Memcached()
