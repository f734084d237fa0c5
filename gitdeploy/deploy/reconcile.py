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


async def reconcile(site: Site) -> None:
    """Settle every place; one that cannot be settled is logged and does not keep the others from it."""
    for place in site.places():
        try:
            await settle(site, place)
        except Exception:
            log.failure("bringing back {place}", place=str(place))


async def settle(site: Site, place: Place) -> None:
    """Bring one app in one environment back to what its ref says, and start it."""
    site.journal.interrupt(place.app, place.environment)
    repository, key = site.repository(place.app), site.key(place)
    branch = repository.head(place.environment)
    commit = repository.ref(place.environment, branch) if branch else None
    lacking = []
    for node in site.nodes_of(place):
        release = await settle_node(site, node, key, commit, repository.release_names(place.environment))
        if release is not None:
            record_if_new(site, place, release)
        lacking += [] if release is not None or commit is None else [node.name]
        node.restore(key)
    if lacking:
        log.warn("{place}: deploying what the ref says to {nodes}", place=str(place), nodes=", ".join(lacking))
        await deploy_again(site, place, "gitdeploy", "redeploy", None, lambda data: None, lambda: True)


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
