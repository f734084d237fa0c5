"""The verbs about services themselves: they are made, changed, removed and checked."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, Dict, Generator, Iterator, List, Mapping

from buildless.errors import NodeError
from buildless.node import accounts, firewall, packages, systemd
from buildless.node.backups import BACKUP_VERBS
from buildless.node.layout import AppLayout, Layout
from buildless.node.removal import forget_user, remove_rest
from buildless.service import Account, find, names

LIMIT = 120.0  # seconds that another app is waited for
PAUSE = 0.05

Answer = Dict[str, Any]


def services(
    layout: Layout, app: str, *, services: List[Mapping[str, Any]], timeout: float, live: bool = False
) -> Generator[str, None, Answer]:
    """Make what an app asks for; what it asks for no more stays as it is. Says the ports that are its own.

    Until the release that asks is `live`, what another one uses is not interrupted: it says what waits for that.
    """
    home = layout.app(app)
    found = {}
    for account in [accounts.checked(home.name, one) for one in services]:
        found[account.service] = yield from make(home, account, timeout, live)
    return {"services": found}


def make(home: AppLayout, account: Account, timeout: float, live: bool) -> Generator[str, None, Answer]:
    """One of them."""
    layout, service = home.node, accounts.service_called(account.service)
    needed = service.needs(bool(account.host))
    if needed and not layout.owners.system:
        raise NodeError(f"{service.name} needs packages, which this node cannot install; deploy to a machine")
    debs = (*needed, *firewall.DEBS) if needed else ()
    installed = yield from packages.install(debs, (), timeout)
    if set(installed["installed"]) & set(service.debs) and service.surplus:
        systemd.ask("disable", "--now", "--quiet", *service.surplus, timeout=systemd.STOP)
    kept = accounts.kept(home)
    before = next((kept[one] for one in (service.name, *alike(service.name)) if one in kept), None)
    fresh = not live and (before is None or before.fresh)
    account = replace(account, port=before.port if before else 0, fresh=fresh)
    now, left = account if live or before is None else together(before, account), False
    with alone(layout, timeout):
        if before is not None and not live and can_wait(before, account) and service.interrupts(home, now):
            now, left = replace(before, clients=now.clients), True
        firewall.install(layout, [now])  # before it listens
        if not left:
            now = replace(now, port=service.install(home, now))
        accounts.keep(home, now)
    service.check(home, now)
    return {"port": now.port, "new": fresh, "waits": left or now.clients != account.clients}


def together(before: Account, account: Account) -> Account:
    """The account of a release that is not live yet, and those are let in, too, who are now: what is live goes on to use it."""
    leaving = [one for one in before.clients if one not in account.clients]
    return (
        replace(account, host=account.host or before.host, clients=(*account.clients, *leaving)) if leaving else account
    )


def used(layout: Layout, app: str, *, services: List[str]) -> Answer:
    """A release that has these services is live: they are new no more, and what was the same by another name is that one's."""
    home = layout.app(app)
    for name in services:
        accounts.keep(home, replace(accounts.read(home, name), fresh=False))
        for other in alike(name):
            if other in accounts.kept(home):
                accounts.forget(home, other)
    return {}


def alike(name: str) -> List[str]:
    """The other services that are the same database."""
    same = {one: find(one).like or one for one in names()}
    return [one for one in same if same[one] == same[name] and one != name]


def can_wait(before: Account, account: Account) -> bool:
    """Whether a release that wants `account` gets to a service that is as `before` says, and into it."""
    return before.password == account.password and bool(before.host or not account.host)


def settle_services(
    layout: Layout, app: str, *, services: List[Mapping[str, Any]], timeout: float
) -> Generator[str, None, Answer]:
    """Change those services that are not as a live release asks for, or were left in the middle of something; says which.

    What is not there at all, or what the release could not get into afterwards, is for a deploy.
    """
    home = layout.app(app)
    kept, changed = accounts.kept(home), []
    for account in [accounts.checked(home.name, one) for one in services]:
        before = kept.get(account.service)
        if before is None or not can_wait(before, account):
            continue
        if before.fresh or {*alike(account.service)} & {*kept}:
            used(layout, app, services=[account.service])
            before = replace(before, fresh=False)
        account = together(before, account)  # who is not to be let in any more may be what is live: a push tells
        same = before == replace(account, port=before.port)
        if not same or not accounts.service_called(account.service).is_finished(home, before):
            yield from make(home, account, timeout, live=True)
            changed.append(account.service)
    with alone(layout):
        firewall.install(layout, ())  # an earlier set-up may have had other rules
    return {"changed": changed}


@contextmanager
def alone(layout: Layout, timeout: float = LIMIT) -> Iterator[None]:
    """One app at a time: what is the same for all of them, such as pg_hba.conf, is read, changed and written."""
    layout.run.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + timeout
    with open(layout.run / "services.lock", "ab") as lock:
        while not locked(lock):
            if time.monotonic() > until:
                raise NodeError(
                    f"another app has been at what all have in common here for {timeout:g} s; push again later"
                )
            time.sleep(PAUSE)
        yield  # closing the file ends the lock


def locked(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_services(layout: Layout, app: str, *, services: List[str]) -> Answer:
    """Remove these services of an app, with all that is in them."""
    home = layout.app(app)
    for name in services:
        if name in accounts.kept(home):
            with alone(layout):
                accounts.service_called(name).remove(home, accounts.read(home, name))
                accounts.forget(home, name)
                firewall.install(layout, ())
    if not home.home.exists() and not home.accounts.exists():
        remove_rest(home)
        forget_user(home)
    return {}


def check_services(layout: Layout, app: str) -> Answer:
    """What is wrong with each service of an app; empty for one that is well."""
    home = layout.app(app)
    found = {}
    for name, account in accounts.kept(home).items():
        try:
            accounts.service_called(name).check(home, account)
            found[name] = ""
        except (NodeError, OSError) as error:
            found[name] = str(error)
    return {"services": found}


SERVICE_VERBS = {
    **BACKUP_VERBS,
    **{verb.__name__: verb for verb in (services, used, settle_services, remove_services, check_services)},
}
SERVICE_QUESTIONS = ("backups", "backup_read", "backup_write", "backup_remove", "check_services")
"""Those that are not in the way of a deploy."""
