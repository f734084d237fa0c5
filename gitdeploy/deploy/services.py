"""What an app wants besides processes: which services, as whom, on which node; and the stage of a deploy that has them made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from buildless import service
from buildless.description import Description
from buildless.service import Account, Service
from buildless.wanted import Options

from ..config import Environment
from ..errors import GitdeployError, Refused
from ..names import EMBEDDED, Place
from ..nodes.node import Say
from . import apt
from .absence import REREAD
from .onnodes import OnNodes
from .report import Progress, Report
from .site import Site
from .stages import Plan


def external(found: Service, variables: Mapping[str, str], wanted: Mapping[str, Options]) -> str | None:
    """The URL of a service that is somewhere else, as config vars say; None if they say nothing of it. Raises Refused."""
    for name in found.variables:
        url = variables.get(name)
        if url is None:
            continue
        others = {scheme for other in wanted if other != found.name for scheme in service.find(other).schemes}
        if url.partition("://")[0] in others - set(found.schemes):
            continue  # it is that one's
        try:
            found.told(url)
            if not urlsplit(url).netloc.rpartition("@")[2]:
                raise ValueError(f"it names no host; write {found.schemes[0]}://USER:PASSWORD@HOST:PORT/NAME")
        except ValueError as error:
            raise Refused(
                f"the config var {name} is no URL of {found.name}: {error}; set another: config:set"
            ) from error
        return url
    return None


def node_of(environment: Environment, names: list[str]) -> str:
    """The node that has the services `names` of an environment. Raises Refused where nobody has said which."""
    if environment.services is not None:
        return environment.services
    if len(environment.nodes) == 1 or not names:
        return environment.nodes[0]
    raise Refused(
        f"{' and '.join(names)} must be on one of the {len(environment.nodes)} nodes of {environment.name};"
        f" write `services: NODE` for {environment.name} in gitdeploy.yaml, with the node that has had the data so far,"
        f" or any if there are none, and {REREAD}"
    )


def refusal(found: Service, environment: Environment, node: str) -> str | None:
    """Why a node cannot have a service, with what to do instead."""
    elsewhere = f"set the config var {found.variables[0]} to the URL of one" if found.variables else ""
    if not found.packaged:
        return f"Debian has no package of {found.name}; {elsewhere}: config:set"
    remote = environment.nodes != (node,)
    if remote and found.mount_debs and EMBEDDED in (node, *environment.nodes):
        return (
            f"{found.name} cannot be shared with the server's own machine, which is not root there;"
            f" write machines alone for {environment.name} in gitdeploy.yaml (gitdeploy create-node)"
        )
    if node == EMBEDDED and found.needs(remote):
        return (
            f"{found.name} cannot be installed on the server's own machine, which is not root there; {elsewhere} (config:set),"
            f" or name a machine in gitdeploy.yaml (gitdeploy create-node)"
        )
    if remote and not found.shared:
        advice = elsewhere or f"write one node for {environment.name} in gitdeploy.yaml"
        return f"{found.name} can only be used on one node, and {environment.name} has others; {advice}"
    return None


def accounts(
    site: Site, place: Place, key: str, description: Description, variables: Mapping[str, str]
) -> tuple[Account, ...]:
    """What an app has of the services that its description wants. Raises Refused for one that it cannot have."""
    wanted, environment = description.services, site.environment(place)
    urls = {name: external(service.find(name), variables, wanted) for name in wanted}
    here = [name for name in wanted if urls[name] is None]
    for name in here:  # what nobody has need not be put anywhere
        if not service.find(name).packaged and (problem := refusal(service.find(name), environment, "")):
            raise Refused(problem)
    node = node_of(environment, here)
    secret = site.services_secret(place) if here else ""
    remote = bool(here) and environment.nodes != (node,)
    host = site.node(node).address if remote else ""
    clients = tuple(site.node(name).address for name in environment.nodes) if remote else ()
    found = []
    for name, options in wanted.items():
        if (url := urls[name]) is not None:
            found.append(Account(name, key, url=url))
            continue
        ours = service.find(name)
        if problem := refusal(ours, environment, node):
            raise Refused(problem)
        found.append(Account(name, key, service.password_of(secret, ours.like or name), options, host, 0, clients))
    return tuple(found)


async def provide(site: Site, plan: Plan, nodes: OnNodes, report: Report, had: Collection[str]) -> Plan:
    """Have the services made that are ours to make, without an interruption of what is live.

    Returns the plan with what the node says of them. `had` are those that what is live keeps something in.
    """
    name, request = asking(site, plan)
    begun = False

    def say(text: str) -> None:
        nonlocal begun
        if not begun:
            report.step("Making its services")
            begun = True
        report.detail(f"{name}: {text}")

    with apt.followed(report, name, say, Progress(report).of(name)) as hear:
        answer = (await ask(site, name, nodes, request, hear))["services"]
    for one, told in answer.items():
        if told["new"]:
            say(f"{one} is there")
            if one in had:
                report.error(
                    f"{one} of {name} is new, and empty: what is live has another one, where its data stay; how they are moved:"
                    " docs/services.rst"
                )
    ports = {one: told["port"] for one, told in answer.items()}
    made = tuple(replace(account, port=ports.get(account.service, 0)) for account in plan.services)
    new, waiting = (tuple(one for one, told in answer.items() if told[what]) for what in ("new", "waits"))
    return replace(plan, services=made, new=new, waiting=waiting)


async def change(site: Site, plan: Plan, nodes: OnNodes, report: Report) -> None:
    """The release is live: have the services changed that this would have interrupted before, and no other one be new.

    A failure is said; it is tried again when the node is brought up to date (`upkeep`), which is begun with the end of the deploy.
    """
    name, request = asking(site, plan)
    wanted = {**request, "services": [one.request() for one in plan.services if one.service in plan.waiting]}
    try:
        if plan.waiting:
            report.step(f"Changing {', '.join(plan.waiting)}")
            say, progress = (lambda text: report.detail(f"{name}: {text}")), Progress(report).of(name)
            with apt.followed(report, name, say, progress) as hear:
                await ask(site, name, nodes, {**wanted, "live": True}, hear)
        if plan.new:
            await ask(site, name, nodes, {"app": plan.key, "services": plan.new}, verb="used")
    except GitdeployError as error:
        report.error(
            f"{', '.join(plan.waiting or plan.new)}: {error}; look at it on {name}; it is tried again there, and by the next push"
        )
        nodes.behind.add(name)


def asking(site: Site, plan: Plan) -> tuple[str, dict[str, Any]]:
    """The node of the services, and what it is asked for."""
    ours = [account for account in plan.services if not account.url]
    name = node_of(site.environment(plan.place), [account.service for account in ours])
    services = [account.request() for account in ours]
    return name, {"app": plan.key, "services": services, "timeout": site.config.limits.step}


async def ask(
    site: Site, name: str, nodes: OnNodes, request: Mapping[str, Any], say: Say | None = None, verb: str = "services"
) -> dict[str, Any]:
    """Ask the node of the services, which may be one that is deployed to or none of these."""
    limit = site.config.limits.step
    for on in nodes.nodes:
        if on.node.name == name:
            on.fresh()
            return await on.session.call(verb, limit, say, **request)
    node = site.node(name)
    if (problem := await node.reach()) is not None:
        raise Refused(f"{name}, which has the services, does not answer: {problem}; push again when it is back")
    async with site.talking(node) as session:
        return await session.call(verb, limit, say, **request)
