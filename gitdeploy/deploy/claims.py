"""What only one app can have, locations and addresses: whose they are, and who is about to get them. Pure decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from buildless.mail import both
from buildless.values import ANY

from .stages import Plan


def taken(plan: Plan, facts: Mapping[str, Any]) -> str | None:
    """Why the app may not have its locations on a node: another one answers at one of them already."""
    for host in plan.hosts:
        owner = facts["hosts"].get(host, plan.key)
        if owner != plan.key and host == ANY:
            return f"{owner} answers for all other names there; take default_app out of gitdeploy.yaml, then redeploy {owner}"
        if owner != plan.key:
            return f"{host} belongs to {owner}; take it out of the locations in app.yaml"
    return None


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
