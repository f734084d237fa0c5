"""What a restart of the server, or the return of a node, does for services: they become what the live releases ask for.

A change that interrupts them is made after the commit point. It may fail, or be cut short, when it is too late to refuse the push.
"""

from __future__ import annotations

from twisted.logger import Logger

from buildless.service import Account

from ..errors import GitdeployError
from ..names import Place
from ..nodes.node import Node
from . import data, services
from .site import Site

log = Logger()


async def settle_services(site: Site, node: Node) -> list[Place]:
    """Have a node change the services that are not as the live releases want them; returns the places where that failed."""
    behind = []
    for place in site.places():
        if not site.is_deployed(place) or node.name not in (
            site.environment(place).services,
            *site.environment(place).nodes,
        ):
            continue
        try:
            async with site.queue.turn(place, "gitdeploy", site.config.limits.wait, lambda who: None):
                await settle(site, place, node)
        except Exception as error:
            if not isinstance(error, GitdeployError):
                log.failure("services of {place} on {name}", place=str(place), name=node.name)
            log.error("services of {place} on {name}: {error}", place=str(place), name=node.name, error=str(error))
            behind.append(place)
    return behind


async def settle(site: Site, place: Place, node: Node) -> None:
    """The same for one app, whose turn it is. What there is on another node is not this one's business."""
    try:
        ours = wanted(site, place, node)
    except GitdeployError as error:  # gitdeploy.yaml says otherwise now: the next push is refused with that
        log.warn("services of {place}: {error}", place=str(place), error=str(error))
        return
    if not ours:
        return
    limit, requests = site.config.limits.step, [account.request() for account in ours]
    answer = await site.ask(node, "settle_services", app=site.key(place), services=requests, timeout=limit)
    for name in answer["changed"]:
        log.info("{place}: {service} on {name} is as it asks for", place=str(place), service=name, name=node.name)


def wanted(site: Site, place: Place, node: Node) -> list[Account]:
    """What the live release of an app wants on a node. Raises Refused where it could not be deployed any more."""
    variables = site.config_vars(place).read(place.environment).variables
    found = services.accounts(site, place, site.key(place), data.described(site, place), variables)
    ours = [account for account in found if not account.url]
    on = services.node_of(site.environment(place), [account.service for account in ours])
    return ours if on == node.name else []
