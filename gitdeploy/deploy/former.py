"""Apps that are on a node and have no business there: the node was taken out of an environment, or that is no more, or the app.

Nobody would look after them again, and they would answer visitors and run jobs for ever. What they have stays, for the day on
which the node is listed again; only what was destroyed meanwhile goes, as it has on the nodes that were there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from buildless import service

from ..errors import GitdeployError, Refused
from ..git.repository import ReleaseTag
from ..names import EMBEDDED, Place, spell
from ..nodes.node import Node, Session
from . import data
from .journal import KEEP, Summary
from .services import node_of
from .site import Site
from .stages import Plan

NOBODY: dict[str, int] = {}
log = Logger()


def belongs(site: Site, key: str, node: Node) -> bool:
    """Whether an app, by its name on nodes, is deployed to a node: an environment lists that, and it was pushed there."""
    place = place_of(site, key)
    found = site.config.environments.get(place.environment)
    return found is not None and node.name in found.nodes and is_there(site, place)


def serves(site: Site, name: str) -> bool:
    """Whether a node may get requests: an environment lists it. The server's own has no balancer before it, and always may."""
    return name == EMBEDDED or any(name in one.nodes for one in site.config.environments.values())


async def strangers(site: Site, session: Session, node: Node) -> dict[str, list[str]]:
    """The apps that have no business on a node: those that are ``live`` there all the same, and those that are ``withdrawn``."""
    there = await session.call("apps", site.config.limits.step)
    return {
        what: [key for key in there.get(what, ()) if not belongs(site, key, node)] for what in ("live", "withdrawn")
    }


async def withdraw_strangers(site: Site, node: Node) -> None:
    """Have nothing of apps run that have no business on a node, and delete what is left of first pushes that were interrupted.

    An app that somebody deploys is left to him.
    """
    async with site.talking(node) as session:
        there = await session.call("apps", site.config.limits.step)
    for key in there["apps"]:
        if belongs(site, key, node) or any(one.place == place_of(site, key) for one in site.active):
            continue
        try:
            async with site.queue.turn(place_of(site, key), "gitdeploy", site.config.limits.wait, lambda who: None):
                if not belongs(site, key, node):
                    async with site.talking(node) as session:
                        await withdraw(site, node, session, key)
        except Exception as error:
            if not isinstance(error, GitdeployError):
                log.failure("what {name} has of {key}", name=node.name, key=key)
            log.error("{key} has no business on {name}: {error}", key=key, name=node.name, error=str(error))


async def withdraw(site: Site, node: Node, session: Session, key: str) -> None:
    """The same for one app, whose turn it is."""
    limit, place = site.config.limits.step, place_of(site, key)
    state = await session.call("state", limit, app=key)
    if is_over(site, place, state):
        await forget(site, node, session, key)
    elif state["live"] is not None and (why := doubt(site, place)):
        log.error("{key} is live on {name}, and goes on: {why}", key=key, name=node.name, why=why)
    elif state["live"] is not None:
        await stop(site, session, key)
        log.warn(
            "{key}: nothing of it runs on {name} any more, which {environment} does not list; what it has there stays",
            key=key, name=node.name, environment=place.environment,
        )  # fmt: skip
    elif not keeps_for(site, place, node):
        await session.call("forget", limit, app=key)


def doubt(site: Site, place: Place) -> str | None:
    """Why it may be a mistake that an app has no business where it is live; None if it is none."""
    if not is_there(site, place):
        return "this server knows nothing of it, not even that it was destroyed; push it here"
    found = site.config.environments.get(place.environment)
    lacking = [name for name in (found.nodes if found else ()) if name not in (EMBEDDED, *site.fleet.names())]
    return f"gitdeploy.yaml names {lacking[0]} for {place.environment}, and there is no such node" if lacking else None


async def stop(site: Site, session: Session, key: str) -> None:
    """Have nothing of an app run on a node, and its locations be nobody's, until it is deployed there again."""
    await session.hold(key)
    try:
        await session.call("withdraw", site.config.limits.step, app=key)
    finally:
        await session.unhold(key, NOBODY)


async def make_way(site: Site, node: Node, key: str) -> None:
    """Withdraw what a node has of an app that is out of date there, before another one gets a location of it."""
    turn = site.queue.turn(place_of(site, key), "gitdeploy", site.config.limits.wait, lambda who: None)
    async with turn, site.talking(node) as session:
        await stop(site, session, key)


async def forget(site: Site, node: Node, session: Session, key: str) -> None:
    """Delete all that a node has of an app that was destroyed while nobody could tell the node; a backup of its data stays."""
    limit, place = site.config.limits.step, place_of(site, key)
    await session.hold(key)
    if not is_there(site, place):
        found = list((await session.call("check_services", limit, app=key))["services"])
        old = data.Data(site, place, node, session, tuple(one for one in found if service.find(one).keeps))
        if old.services:
            made = await old.backup(keep=True, since=destroyed(site, place))
            log.warn("{key}: its data on {name} are kept as {file}", key=key, name=node.name, file=made["file"])
        if found:
            await old.delete(found)
    await session.call("forget", limit, app=key, live=True)
    await session.unhold(key, NOBODY)
    log.warn("{key}: it was destroyed while {name} was not listed, and is gone there, too", key=key, name=node.name)


async def end_earlier_life(
    site: Site, node: Node, session: Session, key: str, recorded: Sequence[ReleaseTag]
) -> dict[str, Any]:
    """If what a node has of an app is older than all its releases on record, see whether it was destroyed since; then it goes.

    Returns the state of what there is after that.
    """
    state = await session.call("state", site.config.limits.step, app=key)
    if (
        recorded
        and state["releases"]
        and latest(state) < recorded[0].time
        and is_over(site, place_of(site, key), state)
    ):
        await forget(site, node, session, key)
        return await session.call("state", site.config.limits.step, app=key)
    return state


async def refuse_new(site: Site, plan: Plan, only: Node | None) -> None:
    """A node that `only` lacks a release must not make anew what the app keeps data in: these are elsewhere. Raises Refused."""
    ours = [one for one in data.local(plan.services) if service.find(one).keeps]
    if only is None or not ours:
        return
    found = site.node(node_of(site.environment(plan.place), ours))
    there = (await site.ask(found, "check_services", app=plan.key))["services"]
    if new := [name for name in ours if name not in there]:
        raise Refused(
            f"{', '.join(new)} would be new there, and empty; move the data (docs/services.rst),"
            f" or begin without: redeploy {spell(plan.place, site.config.default_environment)}"
        )


def place_of(site: Site, key: str) -> Place:
    """Whose name on nodes that is."""
    app, _, environment = key.partition(".")
    return Place(app, environment or site.config.default_environment)


def is_there(site: Site, place: Place) -> bool:
    """Whether anything was pushed to it, also where the environment is none any more."""
    repository = site.repository(place.app)
    return repository.exists and any(one.startswith("refs/heads/") for one in repository.refs(place.environment))


def keeps_for(site: Site, place: Place, node: Node) -> bool:
    """Whether a node that an app is not deployed to has the services of its environment."""
    found = site.config.environments.get(place.environment)
    return found is not None and found.services == node.name and is_there(site, place)


def is_over(site: Site, place: Place, state: Mapping[str, Any]) -> bool:
    """Whether all that a node says it has of an app is of an earlier life: it was destroyed since, as the journal tells."""
    if not state["releases"] and is_there(site, place):
        return False
    ends = [one.started + (one.seconds or 0.0) for one in ended(site, place)]
    return bool(ends) and latest(state) < max(ends)


def ended(site: Site, place: Place) -> list[Summary]:
    """The times that an app was destroyed."""
    return [one for one in site.journal.list(place.app, place.environment, KEEP) if one.result == "destroyed"]


def destroyed(site: Site, place: Place) -> float | None:
    """When that was begun the last time: the backup that was made then is the one to keep."""
    return max((one.started for one in ended(site, place)), default=None)


def latest(state: Mapping[str, Any]) -> float:
    """When the newest release that a node has of an app was made, in POSIX seconds; 0 where it has none."""
    return max((float(one.get("time", 0.0)) for one in state["releases"]), default=0.0)
