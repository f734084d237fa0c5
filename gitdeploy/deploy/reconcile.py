"""What makes a node agree with the refs, when the server has started and when a node is back, whoever was killed and when.

A release that was prepared for the commit that the ref names is switched to: somebody was killed after the ref had moved.
Anything else that was begun is undone. A node that lacks the commit altogether gets it, before it is put into service. Then its
services become what the live releases ask for (`upkeep`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from buildless.mail import both

from ..errors import GitdeployError, Refused
from ..git.configvars import ConfigVars
from ..git.push import Push, Update
from ..git.repository import PREPARE, ReleaseTag
from ..names import Place
from ..nodes.node import Node, Session
from . import agreement, data, former
from .attempt import to_the_end
from .pipeline import Deploy
from .site import Held, Site
from .upkeep import settle_services

RETRY = 30.0  # seconds after which a node that could not be brought up to date is tried again; twice as many each time
SELDOM = 900.0  # and never more than these: each try is a deploy that is kept
log = Logger()


def places_on(site: Site, node: Node) -> list[Place]:
    """The apps and environments that a node runs."""
    return [place for place in site.places() if node.name in site.environment(place).nodes]


async def bring_back(site: Site, node: Node) -> None:
    """Bring a node up to date that is connected, then let it get requests; again and again until that is done, or it is gone.

    There is a single one for a node that pauses between two tries: to ask once more ends its pause. Two never deploy the same.
    """
    if (waiting := site.behind.pop(node.name, None)) is not None:
        waiting.callback(None)
        return
    seconds = RETRY
    while not site.stopping:
        try:
            listed = former.serves(site, node.name)
            if site.fleet.drained(node.name):  # perhaps while it did not answer
                async with site.talking(node) as session:
                    await session.leave()
            async with site.queue.turn(node.name, "gitdeploy", site.config.limits.wait, lambda who: None):
                behind = await catch_up(site, node, await settle_all(site, node))
            if listed != former.serves(site, node.name):
                continue  # gitdeploy.yaml was read meanwhile
            if not behind:
                async with site.talking(node) as session:
                    await (session.join() if listed else session.leave())
                if not await settle_services(site, node):
                    return
        except Exception as error:
            log.error("{name}: cannot be brought up to date: {error}", name=node.name, error=str(error))
        if node.name in site.behind:
            return
        await pause(site, node, seconds)
        seconds = min(2 * seconds, SELDOM)
        if await node.reach() is not None:
            return  # it is begun anew when it is back


async def pause(site: Site, node: Node, seconds: float) -> None:
    """Wait so long, or until there is a reason to try again at once."""
    waiting = site.behind[node.name] = Deferred()
    timer = site.reactor.callLater(seconds, lambda: site.behind.pop(node.name).callback(None))
    await waiting
    if timer.active():
        timer.cancel()


async def settle_all(site: Site, node: Node) -> list[Place]:
    """Settle every place of a node; one that cannot be settled is logged and does not keep the others from it.

    Returns these, and the places whose commit the node does not have: they are for `catch_up`.
    """
    lacking = []
    for place in places_on(site, node):
        try:
            async with site.queue.turn(place, "gitdeploy", site.config.limits.wait, lambda who: None):
                if not await settle(site, place, node):
                    lacking.append(place)
        except Exception as error:
            if not isinstance(error, GitdeployError):
                log.failure("bringing back {place} on {name}", place=str(place), name=node.name)
            log.error("{place} on {name}: {error}", place=str(place), name=node.name, error=str(error))
            lacking.append(place)
    await former.withdraw_strangers(site, node)
    return lacking


async def catch_up(site: Site, node: Node, places: list[Place]) -> list[Place]:
    """Deploy to one node what the refs of `places` say; returns the places where that failed.

    They may have exchanged locations or addresses: what one of them is refused because of another one, it gets, as that one gets
    others, or has given them up.
    """
    left = list(places)
    for place in places:
        log.warn("{place}: deploying what its ref says, which {name} does not have", place=str(place), name=node.name)
        deploy = Deploy(site, place, "gitdeploy", "catch up", lambda: True, only=node)
        done = await deploy_once_more(site, place, deploy)
        others = {site.key(one): one for one in left if one != place}
        if not done and (found := in_the_way(deploy) & set(others)):
            await make_way(site, node, found)
            deploy = Deploy(site, place, "gitdeploy", "catch up", lambda: True, only=node)
            done = await deploy_once_more(site, place, deploy)
        if done:
            left.remove(place)
    return left


async def make_way(site: Site, node: Node, keys: Collection[str]) -> None:
    """Withdraw apps that are in the way of another one, on a node that gets no requests until all are there again."""
    try:
        async with site.talking(node) as session:
            await session.leave()
        for key in sorted(keys):
            await former.make_way(site, node, key)
    except GitdeployError as error:
        log.error("{name}: {error}", name=node.name, error=str(error))


async def deploy_once_more(site: Site, place: Place, deploy: Deploy) -> bool:
    """Deploy what the ref of a place says; whether that went well, else the log says why."""
    try:
        branch, commit = site.deployed(place)
        try:
            await deploy.prepare(Push((Update(commit, commit, branch),)))
            deploy.committing()
        except BaseException as error:
            await to_the_end(deploy.abandon(error))
            raise
        await to_the_end(deploy.activate())
    except Exception as error:
        name = deploy.only.name if deploy.only is not None else ""
        log.error("{place} could not be deployed to {name}: {error}", place=str(place), name=name, error=str(error))
    return deploy.done


def in_the_way(deploy: Deploy) -> set[str]:
    """The apps that have, on the node of a deploy, a location or an address that it wants."""
    if deploy.plan is None:
        return set()
    found: set[str] = set()
    for on in deploy.nodes.nodes:
        hosts, mail = on.facts.get("hosts", {}), on.facts.get("mail", {})
        found.update(hosts[host] for host in deploy.plan.hosts if host in hosts)
        found.update(key for to, key in mail.items() if any(both(to, one) for one in deploy.plan.mail))
    return found - {deploy.plan.key}


async def settle(site: Site, place: Place, node: Node) -> bool:
    """Bring one app on one node back to what its ref says; says whether the node had what that needs."""
    repository, key, branch = site.repository(place.app), site.key(place), site.branch(place)
    commit = repository.ref(place.environment, branch) if branch else None
    async with site.talking(node) as session:
        recorded, prepared = repository.releases(place.environment), repository.ref(place.environment, PREPARE)
        config = site.config_vars(place).read(place.environment)
        here = site.runs_jobs(place, node)
        state = await former.end_earlier_life(site, node, session, key, recorded)
        live = next((one for one in state["releases"] if one["release"] == state["live"]), {"commit": None})
        if problem := agreement.ahead(repository, place.environment, state["live"], live["commit"], live.get("time")):
            log.error("{place}: {name} {problem}", place=str(place), name=node.name, problem=problem)
            site.hold(place, None)  # an update that was under way when the backup was made has ended
            await go_on(site, session, key, state["live"], state, config, here)
            return True
        await put_back(site, place, session, commit, config, recorded)
        await session.call("maintenance", site.config.limits.step, app=key, on=site.in_maintenance(place))
        release = await settle_release(site, session, key, commit, config, recorded, prepared, here)
    if release is not None:
        record_if_new(site, place, release)
    return release is not None or commit is None


async def put_back(
    site: Site, place: Place, session: Session, commit: str | None, config: ConfigVars, recorded: Sequence[ReleaseTag]
) -> None:
    """If an exclusive update was cut short, and its release is not the one to go on with: put the data back as they were.

    Nobody was let in since then. That is done once, before any node lets somebody in again; if it fails, none does.
    """
    held = site.held(place)
    if held is None:
        return
    state = await session.call("state", site.config.limits.step, app=site.key(place))
    found = chosen(state, commit, config.id, recorded)
    if held.backup is not None and not is_deployed(held, state, found, commit):
        log.warn("{place}: putting the data back as they were, from {file}", place=str(place), file=held.backup)
        await data.put_back(site, place, held.backup)
    site.hold(place, None)


def is_deployed(held: Held, state: Mapping[str, Any], found: Mapping[str, Any] | None, commit: str | None) -> bool:
    """Whether the ref had moved before the update was cut short: then the data are as they are to be.

    A node that took part knows the release; one that was away meanwhile lacks it, whatever became of the others.
    """
    if state["held"] and found is not None:
        return bool(found["release"] == held.release)
    return held.commit == commit


async def settle_release(
    site: Site,
    session: Session,
    key: str,
    commit: str | None,
    config: ConfigVars,
    recorded: Sequence[ReleaseTag],
    prepared: str | None,
    here: bool,
) -> dict[str, Any] | None:
    """Make the release of `commit` live on a node and drop what attempts left; returns its record, if the node has it.

    `config` is which config vars count, `here` whether the node runs the app's jobs.
    What was only prepared, for the commit `prepared`, stays.
    """
    limit = site.config.limits.step
    state = await session.call("state", limit, app=key)
    found = None if state.get("withdrawn") else chosen(state, commit, config.id, recorded)
    live = found["release"] if found else state["live"]
    if live is not None:
        await go_on(site, session, key, live, state, config, here)
    known: set[tuple[str, str | None]] = {(f"v{release.number}", release.commit) for release in recorded}
    known.update((one["release"], prepared) for one in state["releases"] if one["source"] == "prepare")
    keep = [
        one["release"]
        for one in state["releases"]
        if (one["release"], one["commit"]) in known or one["release"] == live
    ]
    await session.call("prune", limit, app=key, keep=keep)
    return found


async def go_on(
    site: Site, session: Session, key: str, live: str, state: Mapping[str, Any], config: ConfigVars, here: bool
) -> None:
    """Have a release run, be the one that is live, and let everybody in."""
    limit = site.config.limits.step
    try:
        await session.revive(key, live)
    except Refused as error:
        log.error("{key} {live}: {error}", key=key, live=live, error=str(error))
    if live != state["live"]:
        await session.call("activate", limit, app=key, release=live)
    await session.switched(key, live, config.scale)
    if state["held"]:
        await session.unhold(key, config.scale)
    if any(one.get("cron") for one in state["releases"]):
        await session.call("jobs", limit, app=key, release=live, here=here)


def chosen(
    state: Mapping[str, Any], commit: str | None, config: str, recorded: Sequence[ReleaseTag]
) -> dict[str, Any] | None:
    """The release that a node should serve of those it has: of `commit`, and not older than the latest on record, if that is.

    A later one is of a deploy that was interrupted before it was recorded; what counts is one with the config vars that count.
    None: the node lacks what the ref names.
    """
    least = recorded[-1].number if recorded and recorded[-1].commit == commit else 0
    there = [one for one in state["releases"] if one["commit"] == commit and commit in state["versions"]]
    late = [one for one in there if int(one["release"][1:]) >= least]
    ours: list[dict[str, Any]] = [one for one in late if one.get("config", "") == config] or late
    return next((one for one in ours if one["release"] == state["live"]), ours[-1] if ours else None)


def record_if_new(site: Site, place: Place, release: dict[str, Any]) -> None:
    """Write the tag of a release whose deploy was interrupted between the switch and its record."""
    number = int(release["release"][1:])
    repository = site.repository(place.app)
    if f"refs/releases/v{number}" not in repository.release_names(place.environment):
        text = f"release v{number} of {place}\n\nfrom: {release['source']}\nresult: live, finished after a restart of the server\n"
        repository.record(
            place.environment, ReleaseTag(number, release["commit"], release["user"], int(release["time"]), text)
        )
