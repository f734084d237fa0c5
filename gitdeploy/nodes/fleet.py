"""The machines that there are, each a small JSON file in the server's home, their host keys, and the keys that we log in with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ..errors import NotFound, Refused
from ..names import EMBEDDED, nearest, quoted
from ..runner import BASE_ENVIRON, Command, Runner

APPS = "apps"
BALANCER = "balancer"
ROLES = (APPS, BALANCER)
KEYGEN = 30.0  # seconds


def gone(environment: str, name: str) -> str:
    """What there is to say of a node that an environment of gitdeploy.yaml names, and that is not there."""
    return f"gitdeploy.yaml names {name} for {environment}, and it is not there; run: gitdeploy create-node {name}"


@dataclass(frozen=True)
class Machine:
    """What is known of a node that is a machine of its own.

    `address` and `port` are where its sshd listens; `login` is who the set-up logs in as: root, or a user with sudo. `provider`
    is one of gitdeploy.yaml's and `id` its own name for the machine; both None for a machine that was there already.
    `setup` is the version of the set-up that it last got. One that is `drained` gets no requests until it is resumed.
    """

    name: str
    address: str
    port: int = 22
    login: str = "root"
    provider: str | None = None
    id: str | None = None
    roles: tuple[str, ...] = (APPS,)
    setup: str | None = None
    drained: bool = False

    @property
    def runs_apps(self) -> bool:
        """Whether it is set up for that."""
        return APPS in self.roles and self.setup is not None


class Fleet:
    """The machines below ``HOME/nodes``: ``NAME.json`` each, and ``known_hosts``, in which a machine goes by its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known_hosts = path / "known_hosts"

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.path.glob("*.json"))

    def all(self) -> list[Machine]:
        return [self.get(name) for name in self.names()]

    def get(self, name: str) -> Machine:
        """The machine called `name`. Raises NotFound with the nearest one, or with how to make it."""
        try:
            found = json.loads((self.path / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            guess = nearest(name, self.names())
            advice = f"did you mean {guess}?" if guess else f"make it: gitdeploy create-node {name}"
            raise NotFound(f"there is no node {quoted(name)}; {advice}") from None
        except (OSError, ValueError) as error:
            raise Refused(
                f"{self.path / name}.json cannot be read: {error}; make the node again: create-node"
            ) from error
        known = {field.name for field in fields(Machine)}
        values = {key: value for key, value in found.items() if key in known}
        return Machine(**{**values, "roles": tuple(values.get("roles", (APPS,)))})

    def named(self, environment: str, key: str, name: str) -> Machine:
        """The machine that an environment of gitdeploy.yaml names under `key`: nodes, services or balancer.

        Raises NotFound if it is not there, Refused if it is for something else.
        """
        if name == EMBEDDED:
            wrong = ", the server's own machine, is no balancer and has none before it"
        elif name not in self.names():
            raise NotFound(gone(environment, name))
        else:
            machine = self.get(name)
            if (BALANCER if key == "balancer" else APPS) in machine.roles:
                return machine
            wrong = " is no balancer" if key == "balancer" else " runs no apps"
        raise Refused(f"{name}{wrong}, but {environment} lists it under `{key}:`; correct gitdeploy.yaml")

    def misplaced(self, environment: str, named: Iterable[tuple[str, str]]) -> list[str]:
        """What is wrong with the roles of machines, pairs of key and name as for `named`; one that is not there has none."""
        found = []
        for key, name in named:
            try:
                self.named(environment, key, name)
            except NotFound:
                continue
            except Refused as error:
                found.append(str(error))
        return found

    def unready(self, name: str, reason: str) -> str | None:
        """What to do about a machine that does not answer, with ssh's `reason`, if it only wants to be set up; else None."""
        if self.get(name).setup is None:
            return f"it has not been set up; run: gitdeploy setup-node {name}"
        if "Permission denied (" in reason:
            return f"it does not let the server in; run: gitdeploy setup-node {name}"
        return None

    def drained(self, name: str) -> bool:
        """Whether somebody took a node out of service, until he puts it back; the server's own machine never is."""
        return name in self.names() and self.get(name).drained

    def save(self, machine: Machine) -> Machine:
        """Keep what is known of a machine; whole or not at all (rename)."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self.path / f".{machine.name}.new"
        new.write_text(json.dumps(asdict(machine), indent=1) + "\n", encoding="utf-8")
        new.replace(self.path / f"{machine.name}.json")
        return machine

    def change(self, name: str, **values: object) -> Machine:
        """Keep other values of a machine; returns what is known of it now. Raises NotFound."""
        return self.save(replace(self.get(name), **values))  # type: ignore[arg-type]

    def remove(self, name: str) -> None:
        """Forget a machine and its host keys."""
        self.pin(name, ())
        (self.path / f"{name}.json").unlink(missing_ok=True)

    def pinned(self, name: str) -> list[str]:
        """The host keys of a machine, each ``ssh-ed25519 AAAA...``; empty before the first contact."""
        return [rest for host, rest in self._known() if host == name]

    def pin(self, name: str, keys: Iterable[str]) -> None:
        """From now on the machine must have one of these host keys (``ssh-ed25519 AAAA...``)."""
        rows = [(host, rest) for host, rest in self._known() if host != name] + [(name, key) for key in keys]
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self.path / ".known_hosts.new"
        new.write_text("".join(f"{host} {rest}\n" for host, rest in rows), encoding="utf-8")
        new.replace(self.known_hosts)

    def _known(self) -> list[tuple[str, str]]:
        try:
            lines = self.known_hosts.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [(host, rest) for host, _, rest in (line.partition(" ") for line in lines) if rest]


class Logins:
    """The two keys that we have on machines, in a directory, ``HOME/ssh``.

    `setup` is for create-node and setup-node, and lets them do everything; `server` is the server's own, which may start the
    node's side of a deploy and no more.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.setup = path / "setup_ed25519"
        self.server = path / "server_ed25519"

    async def make(self, runner: Runner) -> None:
        """Make those that are not there yet, without a passphrase. Raises CommandFailed."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for key in (self.setup, self.server):
            if not key.exists():
                name = f"gitdeploy {key.name.partition('_')[0]}"
                argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key))
                await runner.run(Command(argv, BASE_ENVIRON), timeout=KEYGEN)

    @staticmethod
    def public(key: Path) -> str:
        """``ssh-ed25519 AAAA... gitdeploy setup``, the public half of `setup` or `server`."""
        return Path(f"{key}.pub").read_text(encoding="utf-8").strip()
