"""What each machine is to be set up with, from gitdeploy.yaml and what is known of machines: for setup-node and the server."""

from __future__ import annotations

from pathlib import Path

import buildless

from .config import Config, Environment
from .installed import directory
from .nodes import balancer, kit, pages
from .nodes.fleet import APPS, BALANCER, Fleet, Logins, Machine
from .nodes.kit import Kit, Outfit
from .nodes.setup import AUTHORIZED, authorized


def read_kit() -> Kit:
    """What comes with this gitdeploy for machines."""
    assert buildless.__file__ is not None
    return kit.read(directory("node-setup"), Path(buildless.__file__).parent, pages.files())


def outfit(kit: Kit, machine: Machine, settings: Config, fleet: Fleet, logins: Logins) -> Outfit:
    """What `machine` is to be set up with; its version is in `Machine.setup` when it was. Raises Refused, NotFound."""
    generated = {AUTHORIZED: authorized(logins.public(logins.server))}
    if BALANCER in machine.roles:
        generated[balancer.CONFIGURATION] = balancer.haproxy(pools(machine, settings, fleet))
    if APPS in machine.roles:
        generated[balancer.TRUST] = balancer.trust(balancers(machine, settings, fleet))
    return kit.outfit(machine, generated)


def pools(machine: Machine, settings: Config, fleet: Fleet) -> list[balancer.Pool]:
    """The environments whose requests a balancer shares out. Raises Refused, NotFound."""
    found = []
    for environment in settings.environments.values():
        if environment.balancer == machine.name:
            default = environment.name == settings.default_environment
            machines = tuple(fleet.named(environment.name, "nodes", name) for name in environment.nodes)
            found.append(balancer.Pool(environment.name, domains(environment, settings), machines, default))
    return found


def domains(environment: Environment, settings: Config) -> tuple[str, ...]:
    """The domains below which an environment that is not the default one has its hosts (see deploy.stages.hosts)."""
    domain = environment.domain or settings.domain
    own = (domain,) if domain != settings.domain else ()
    return (f"{environment.name}.{domain}", *own)


def balancers(machine: Machine, settings: Config, fleet: Fleet) -> list[Machine]:
    """The balancers that send requests to a node. Raises Refused, NotFound."""
    return [
        fleet.named(one.name, "balancer", one.balancer)
        for one in settings.environments.values()
        if one.balancer and machine.name in one.nodes
    ]
