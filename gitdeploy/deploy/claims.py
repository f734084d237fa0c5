"""What only one app can have, locations and addresses: whose they are, and who is about to get them. Pure decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from buildless.mail import both
from buildless.values import ANY

from ..config import FILENAME, Config
from ..names import Place, spell
from .stages import Plan


def taken(plan: Plan, facts: Mapping[str, Any], config: Config) -> str | None:
    """Why the app may not have its locations on a node: another one answers at one of them already."""
    for host in plan.hosts:
        owner = facts["hosts"].get(host, plan.key)
        if owner != plan.key and host == ANY:
            return catches_all(owner, config)
        if owner != plan.key:
            return f"{host} belongs to {owner}; take it out of the locations in app.yaml"
    return None


def catches_all(owner: str, config: Config) -> str:
    """What to do about the app that answers for all other names on a node, by its name there: until its next deploy it does so."""
    app, _, environment = owner.partition(".")
    place = Place(app, environment or config.default_environment)
    name, found = spell(place, config.default_environment), config.environments.get(place.environment)
    what = f"{name} answers for all other names there"
    if found is None:
        return f"{what}; write {place.environment} back in {FILENAME}, without default_app, then: redeploy {name}"
    if found.default_app == app:
        return f"{what}; take default_app out of {place.environment} in {FILENAME}, then: redeploy {name}"
    return f"{what}, until its next deploy; {FILENAME} says so no more: redeploy {name}"


def contested(plan: Plan, others: Iterable[Plan]) -> str | None:
    """Why the app has to wait: one of `others`, which are being deployed, wants the same location or address; None if not.

    They are those of environments that answer at the same machines.
    """
    for other in others:
        if other.key == plan.key or other.only_prepares:
            continue
        wanted = [host for host in plan.hosts if host in other.hosts and host != ANY]  # which gitdeploy.yaml gives
        wanted += [to for to in plan.mail if any(both(to, one) for one in other.mail)]
        if wanted:
            return f"{wanted[0]} is what {other.key} wants, which is being deployed; push again when that has ended"
    return None
