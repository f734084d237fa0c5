"""Whose the mail for a domain is: of the apps that gitdeploy.yaml gives it to, else of the app that answers at that host name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buildless.mail import both
from buildless.values import split_location

from .content import DESCRIPTION
from .stages import Plan


def refused(plan: Plan, given: Mapping[str, tuple[str, ...]], facts: Mapping[str, Any]) -> list[str]:
    """Why an app may not have addresses that it asks for, each with the line of app.yaml and what to do; empty if it may.

    `given` are the apps by the domains that gitdeploy.yaml gives them; `facts` is what the node's survey answered.
    """
    found = []
    for mailbox in plan.description.mail if plan.mail else ():
        if why := has(plan, mailbox.to, facts) or foreign(plan, mailbox.to, given, facts):
            found.append(f"{DESCRIPTION}:{mailbox.line}: mail: {mailbox.to} {why}")
    return found


def has(plan: Plan, to: str, facts: Mapping[str, Any]) -> str | None:
    """Which other app on the node has an address in common with `to`; None: none has."""
    there = facts.get("mail", {})  # a node that was set up before there was such a fact says it later
    for one, owner in there.items():
        if owner != plan.key and both(to, one):
            return f"belongs to {owner}, which has {one}; take it out"
    return None


def foreign(plan: Plan, to: str, given: Mapping[str, tuple[str, ...]], facts: Mapping[str, Any]) -> str | None:
    """Why the mail for the domain of `to` is not the app's; None if it is.

    A host name is an app's own with and without ``www.``, as long as no other answers at the other one, and as a whole: with a path
    it has a part of it.
    """
    domain, app = to.rpartition("@")[2], plan.place.app
    if domain in given:
        if app in given[domain]:
            return None
        return (
            f"is mail for {domain}, which gitdeploy.yaml gives to {', '.join(given[domain]) or 'nobody'}; take it out"
        )
    if domain in plan.hosts:
        return None
    there = {owner for location, owner in facts["hosts"].items() if split_location(location)[0] == domain} - {plan.key}
    if there:
        names = ", ".join(sorted(there))
        return f"is mail for {domain}, where {names} answers; take it out, or have {domain} given to {app} (mail in gitdeploy.yaml)"
    if f"www.{domain}" in plan.hosts or domain.removeprefix("www.") in plan.hosts:
        return None
    advice = f"write {domain} into locations, or have {domain} given to it (mail in gitdeploy.yaml)"
    return f"is mail for {domain}, where {app} does not answer; {advice}"
