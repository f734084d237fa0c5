"""rabbitmq: a virtual host and a user of the app's own in the RabbitMQ of the node. What is in queues is not backed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Dict, Set
from urllib.parse import quote, unquote

from buildless.errors import NodeError
from buildless.node import accounts, renewal, systemd, tool
from buildless.service import Account, Service, split

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout, Layout

PORT = 5672
UNIT = "rabbitmq-server.service"
SLOW = 120.0  # seconds: each call starts an Erlang
ENVIRONMENT = """\
# Written by gitdeploy. The name must not change with the machine's; nothing but RabbitMQ's own port is for others.
NODENAME=rabbit@localhost
ERL_EPMD_ADDRESS=127.0.0.1
SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
"""
EPMD = """\
# Written by gitdeploy: what Erlangs find each other by is for this machine alone.
[Socket]
ListenStream=
ListenStream=127.0.0.1:4369
"""


class Rabbitmq(Service):
    """One server for all apps: virtual hosts keep them apart."""

    debs = ("rabbitmq-server",)
    variables = ("AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL")
    schemes = ("amqp", "amqps")
    keeps = False
    port = PORT
    user = "rabbitmq"

    def url(self, account: Account) -> str:
        name, host = quote(account.name), account.host or "127.0.0.1"
        return f"amqp://{name}:{account.password}@{host}:{PORT}/{name}"

    def told(self, url: str) -> Dict[str, str]:
        parts = split(url, self.schemes)
        return {
            "CONFIG_RABBITMQ_HOST": parts.hostname or "",
            "CONFIG_RABBITMQ_PORT": str(parts.port or PORT),
            "CONFIG_RABBITMQ_USER": unquote(parts.username or ""),
            "CONFIG_RABBITMQ_PASSWORD": unquote(parts.password or ""),
            "CONFIG_RABBITMQ_VHOST": unquote(parts.path[1:]) or "/",
            "AMQP_URL": url,
            "CLOUDAMQP_URL": url,
        }

    def install(self, home: AppLayout, account: Account) -> int:
        listen(home.node, account)
        if account.name not in listed("list_vhosts"):
            control("add_vhost", account.name)
        users = listed("list_users")
        control("change_password" if account.name in users else "add_user", account.name, stdin=account.password)
        control("set_permissions", "-p", account.name, account.name, ".*", ".*", ".*")
        if "guest" in users:  # whose password everybody knows
            control("delete_user", "guest")
        return 0

    def check(self, home: AppLayout, account: Account) -> None:
        control("authenticate_user", account.name, stdin=account.password)
        if account.name not in listed("list_vhosts"):
            raise NodeError(f"there is no virtual host {account.name}; deploy the app again")

    def load(self, home: AppLayout, account: Account, dumped: BinaryIO | None) -> None:
        """There is nothing to load."""

    def swap(self, home: AppLayout, account: Account) -> None:
        """Queues, exchanges and all that is in them go with the virtual host."""
        control("delete_vhost", account.name)
        self.install(home, account)

    def remove(self, home: AppLayout, account: Account) -> None:
        if account.name in listed("list_vhosts"):
            control("delete_vhost", account.name)
        if account.name in listed("list_users"):
            control("delete_user", account.name)


def control(*words: str, stdin: str = "") -> str:
    return tool.run(("rabbitmqctl", "--quiet", "--silent", *words), f"{stdin}\n" if stdin else "", timeout=SLOW)


def listed(what: str) -> Set[str]:
    """The names in the first column."""
    return {line.split("\t")[0] for line in control(what).splitlines() if line}


def listen(layout: Layout, account: Account) -> None:
    """Have it listen for other nodes, too: from when nobody uses it yet, so that nobody is interrupted when an app needs that."""
    top = layout.root / "etc" / "rabbitmq"
    place = top / "conf.d" / "10-gitdeploy.conf"
    text = f"# Written by gitdeploy.\nlisteners.tcp.1 = 0.0.0.0:{PORT}\n"
    if not account.host and accounts.anybody(layout, "rabbitmq") and place.is_file():
        text = place.read_text(encoding="utf-8")
    place.parent.mkdir(parents=True, exist_ok=True)
    drop_in = layout.units / "epmd.socket.d" / "gitdeploy.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    if renewal.written(layout, UNIT, {top / "rabbitmq-env.conf": ENVIRONMENT, place: text, drop_in: EPMD}):
        systemd.ask("stop", UNIT, timeout=SLOW)
        systemd.quietly("stop", "epmd.service", "epmd.socket")
        systemd.reload()
        systemd.quietly("start", "epmd.socket")
        systemd.ask("start", UNIT, timeout=SLOW)
        renewal.done(layout, UNIT)


SERVICE = Rabbitmq()
