"""What balancer and nodes are told of each other: HAProxy's configuration, and whose X-Forwarded-For nginx believes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..errors import Refused
from ..names import quoted
from .fleet import Machine

CONFIGURATION = "etc/gitdeploy/haproxy.cfg"
"""Where the set-up looks for it; it comes to /etc/haproxy when haproxy has taken it."""

TRUST = "etc/nginx/conf.d/gitdeploy-trust.conf"

TEMPLATES = Environment(
    loader=PackageLoader("gitdeploy.nodes"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - no HTML
)


@dataclass(frozen=True)
class Pool:
    """The nodes of one environment behind a balancer, and the `domains` below which its hosts are.

    The `default` one gets whatever belongs to no other.
    """

    environment: str
    domains: tuple[str, ...]
    machines: tuple[Machine, ...]
    default: bool = False


def haproxy(pools: Iterable[Pool]) -> str:
    """The configuration of a balancer for these pools; why it is as it is stands in the template. Raises Refused."""
    chosen = list(pools)
    for pool in chosen:
        if not pool.machines:
            raise Refused(f"{pool.environment} has no nodes for the balancer; name them in gitdeploy.yaml")
    by_length = sorted(
        ((domain, pool) for pool in chosen if not pool.default for domain in pool.domains),
        key=lambda pair: (-len(pair[0]), pair[0]),
    )
    default = next((pool for pool in chosen if pool.default), None)
    return TEMPLATES.get_template("haproxy.cfg").render(
        pools=chosen, routes=by_length, default=default, listener=listener
    )


def trust(balancers: Iterable[Machine]) -> str:
    """nginx's configuration on a node: requests from these machines are from whom they say, other requests are not."""
    addresses = sorted({address(machine) for machine in balancers})
    return TEMPLATES.get_template("trust.conf").render(addresses=addresses)


def address(machine: Machine) -> str:
    """The address of a machine, as it may stand in a configuration. Raises Refused."""
    if not re.fullmatch(r"[0-9A-Za-z.:-]+", machine.address):
        raise Refused(
            f"{quoted(machine.address)}, the address of {machine.name}, is none; make the node again: create-node"
        )
    return machine.address


def listener(machine: Machine) -> str:
    """Where a node's nginx listens: ``192.0.2.1:80``, ``[2001:db8::1]:80``. Raises Refused."""
    host = address(machine)
    return f"[{host}]:80" if ":" in host else f"{host}:80"
