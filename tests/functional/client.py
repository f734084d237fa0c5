"""Other people than alice, and other ways than git to knock at a server."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .session import LIMIT, Done, Running, Server, eventually, run


@dataclass(frozen=True)
class Person:
    """Somebody with a key, known to the server or not; he offers no other key."""

    server: Server
    name: str
    key: Path
    config: Path

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of his git."""
        return {**self.server.env, "GIT_SSH_COMMAND": f"ssh -F {self.config}"}

    def argv(self, *args: str, options: Sequence[str] = ()) -> list[str]:
        port = str(self.server.ssh_port)
        return [
            "ssh",
            "-F",
            str(self.config),
            "-p",
            port,
            *options,
            "deploy@127.0.0.1",
            *(("--", *args) if args else ()),
        ]

    def ssh(self, *args: str, options: Sequence[str] = (), stdin: bytes | None = None, limit: float = LIMIT) -> Done:
        """OpenSSH's client; without `args` it asks for a shell."""
        return run(self.argv(*args, options=options), self.server.env, self.server.user, stdin, limit)

    def start(self, *args: str, options: Sequence[str] = ()) -> Running:
        """The same, under way."""
        return Running(self.argv(*args, options=options), self.server.env, self.server.user)

    def let_in(self) -> Person:
        """What an administrator does for him."""
        self.server.gitdeploy("keys:add", self.name, stdin=self.key.read_bytes()).ok()
        return self


def somebody(server: Server, name: str, kind: str = "ed25519") -> Person:
    """A person with a new key, whom the server does not know yet."""
    public = server.key(f"{name}-key", kind)
    config = server.user / f"{name}-config"
    theirs = (server.user / "ssh_config").read_text().replace(f"{server.user}/key\n", f"{public.with_suffix('')}\n")
    config.write_text(theirs)
    return Person(server, name, public, config)


def alice(server: Server) -> Person:
    """The one whom every server knows."""
    return Person(server, "alice", server.user / "key.pub", server.user / "ssh_config")


def fingerprint(server: Server, public: Path) -> str:
    """As ssh-keygen tells it."""
    return run(["ssh-keygen", "-l", "-f", str(public)], server.env, server.user).ok().out.split()[1]


def free_port() -> int:
    """A TCP port of loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def knock(server: Server, says: bytes = b"") -> socket.socket:
    """A connection to the ssh port that sends `says` once it has the server's greeting."""
    connection = socket.create_connection(("127.0.0.1", server.ssh_port), timeout=LIMIT)
    try:
        connection.sendall(says)
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def master(person: Person) -> Iterator[tuple[str, ...]]:
    """One connection, held open; gives the options with which further sessions go through it."""
    path = person.server.user / f"{person.name}-master"
    running = person.start(options=["-M", "-S", str(path), "-N"])
    try:
        eventually("a connection to share", path.exists)
        yield ("-S", str(path), "-o", "ControlMaster=no", "-o", "ProxyCommand=false")  # never a connection of its own
    finally:
        running.close()
        path.unlink(missing_ok=True)
