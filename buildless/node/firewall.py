"""Who may come to the services of this node from other ones, and who may answer there: the packet filter's rules for all accounts.

Each service asks for a password as well. This is what keeps everybody else from even trying, and from being told one.
"""

from __future__ import annotations

import ipaddress
import pwd
from typing import Callable, Dict, Iterable, Optional, Set

from buildless.node import accounts, systemd, tool
from buildless.node.layout import Layout
from buildless.node.owners import user_name
from buildless.node.writing import write
from buildless.service import Account

DEBS = ("nftables",)
UNIT = "gitdeploy-services.service"
UNIT_TEXT = """\
# Written by gitdeploy: who may come to the services of this node, before any of them is there.
[Unit]
Description=gitdeploy: the packet filter before services
DefaultDependencies=no
After=local-fs.target nftables.service
PartOf=nftables.service
Before=network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file {rules}
ExecReload=/usr/sbin/nft --file {rules}

[Install]
WantedBy=multi-user.target nftables.service
"""


def install(layout: Layout, more: Iterable[Account]) -> None:
    """Let the rules be those of the accounts that are kept, and of `more`, which are about to be."""
    path = layout.accounts.parent / "services.nft"
    there = {(one.app, one.service): one for one in (*accounts.everybody(layout), *more)}
    if not path.exists() and not any(port_of(one) for one in there.values()):
        return
    layout.accounts.parent.mkdir(parents=True, exist_ok=True)
    write(path, rules(there.values()))
    tool.run(("nft", "--file", str(path)))  # also where nothing is new: it may have failed the last time
    if write(layout.units / UNIT, UNIT_TEXT.format(rules=path)):
        systemd.reload()
        systemd.ask("enable", "--quiet", UNIT)


def number(user: str) -> Optional[int]:
    """The number of a system user; None if there is none."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def port_of(account: Account) -> int:
    """Where it listens; 0 if nowhere, or not yet."""
    return account.port or accounts.service_called(account.service).port


def rules(all_accounts: Iterable[Account], uid_of: Callable[[str], Optional[int]] = number) -> str:
    """The whole table: for each port those who may come; all others are dropped. What comes from this node is not looked at.

    And nobody answers there but the service. An app could listen on its port while it is being started, and be told passwords.
    """
    ports: Dict[int, Set[str]] = {}
    users: Dict[int, int] = {}
    for account in all_accounts:
        if port := port_of(account):
            ports.setdefault(port, set()).update(account.clients if account.host else ())
            uid = uid_of(accounts.service_called(account.service).user or user_name(account.app))
            if uid is not None:
                users[port] = uid
    lines = []
    for port, clients in sorted(ports.items()):
        for address in sorted(map(ipaddress.ip_address, clients), key=lambda one: (one.version, int(one))):
            lines.append(f"ip{'6' if address.version == 6 else ''} saddr {address} tcp dport {port} accept")
        lines.append(f"tcp dport {port} drop")
    answers = [
        f"tcp sport {port} tcp flags & syn == syn meta skuid != {uid} drop" for port, uid in sorted(users.items())
    ]
    return (
        "table inet gitdeploy_services\ndelete table inet gitdeploy_services\ntable inet gitdeploy_services {\n"
        + chain("input", ['iif "lo" accept', *lines])
        + chain("output", answers)
        + "}\n"
    )


def chain(hook: str, lines: Iterable[str]) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"  chain {hook} {{\n    type filter hook {hook} priority filter; policy accept;\n{body}  }}\n"
