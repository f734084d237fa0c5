"""What a server does first: make what the nodes serve agree with what the refs say, whenever it was killed.

A release that was prepared for the commit that the ref names is switched to: the server was killed after the ref had moved.
Anything else that was begun is undone. Where a node lacks the commit altogether, it is deployed to it.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from ..git.repository import ReleaseTag
from ..names import Place
from ..nodes.node import Node
from .again import deploy_again
from .site import Site

log = Logger()


async def reconcile(site: Site) -> list[Place]:
    """Settle every place; one that cannot be settled is logged and does not keep the others from it.

    Returns the places whose commit some node does not have: they are for `deploy_lacking`, once the server listens.
    """
    lacking = []
    places = site.places()
    for place in places:
        try:
            if not await settle(site, place):
                lacking.append(place)
        except Exception:
            log.failure("bringing back {place}", place=str(place))
    await forget_the_rest(site, {site.key(place) for place in places})
    return lacking


async def deploy_lacking(site: Site, places: list[Place]) -> None:
    """Deploy what the refs of `places` say."""
    for place in places:
        log.warn("{place}: deploying what its ref says, which is not on all nodes", place=str(place))
        try:
            await deploy_again(site, place, "gitdeploy", "redeploy", None, lambda data: None, lambda: True)
        except Exception as error:
            log.error("{place} could not be deployed: {error}", place=str(place), error=str(error))


async def settle(site: Site, place: Place) -> bool:
    """Bring one app in one environment back to what its ref says, and start it; says whether all nodes had what it needs."""
    site.journal.interrupt(place.app, place.environment)
    repository, key, branch = site.repository(place.app), site.key(place), site.branch(place)
    commit = repository.ref(place.environment, branch) if branch else None
    complete = True
    for node in site.nodes_of(place):
        release = await settle_node(site, node, key, commit, repository.release_names(place.environment))
        if release is not None:
            record_if_new(site, place, release)
        elif commit is not None:
            complete = False
        node.restore(key)
    return complete


async def forget_the_rest(site: Site, keys: set[str]) -> None:
    """Remove from the nodes what is left of first pushes that were interrupted."""
    for node in site.nodes.values():
        session = node.session()
        try:
            for key in set(node.keys()) - keys:
                await session.call("forget", site.config.limits.step, app=key)
        finally:
            session.close()


async def settle_node(
    site: Site, node: Node, key: str, commit: str | None, recorded: list[str]
) -> dict[str, Any] | None:
    """Make the release of `commit` live on one node, drop what attempts left; returns the live release's record, if it has it."""
    limit = site.config.limits.step
    session = node.session()
    try:
        state = await session.call("state", limit, app=key)
        ours = [release for release in state["releases"] if release["commit"] == commit and commit in state["versions"]]
        live = next((release for release in ours if release["release"] == state["live"]), None)
        if live is None and ours:
            live = ours[-1]
            await session.call("activate", limit, app=key, release=live["release"])
        known = {name.removeprefix("refs/releases/") for name in recorded}
        keep = [one["release"] for one in state["releases"] if one["release"] in known or one is live]
        await session.call("prune", limit, app=key, keep=keep)
        return live
    finally:
        session.close()


def record_if_new(site: Site, place: Place, release: dict[str, Any]) -> None:
    """Write the tag of a release whose deploy was interrupted between the switch and its record."""
    number = int(release["release"][1:])
    repository = site.repository(place.app)
    if f"refs/releases/v{number}" not in repository.release_names(place.environment):
        text = f"release v{number} of {place}\n\nfrom: {release['source']}\nresult: live, finished after a restart of the server\n"
        repository.record(
            place.environment, ReleaseTag(number, release["commit"], release["user"], int(release["time"]), text)
        )
