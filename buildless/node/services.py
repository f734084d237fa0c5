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
from buildless.node.layout import Layout
from buildless.node.removal import remove_rest

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
    wanted = [accounts.checked(home.name, one) for one in services]
    found = {}
    for account in wanted:
        service = accounts.service_called(account.service)
        if service.debs and not layout.owners.system:
            raise NodeError(f"{service.name} needs packages, which this node cannot install; deploy to a machine")
        debs = (*service.debs, *firewall.DEBS) if account.host else service.debs
        installed = yield from packages.install(debs, (), timeout)
        if set(installed["installed"]) & set(service.debs) and service.surplus:
            systemd.ask("disable", "--now", "--quiet", *service.surplus, timeout=systemd.STOP)
        before = accounts.kept(home).get(service.name)
        account = replace(account, port=before.port if before else 0)
        waits = before is not None and not live and service.interrupts(before, account)
        if waits and before is not None:
            account = replace(account, options=before.options)
        with alone(layout, timeout):
            if service.port:
                firewall.install(layout, [account])  # before it listens
            account = replace(account, port=service.install(home, account))
            accounts.keep(home, account)
        service.check(home, account)
        port = account.port
        found[service.name] = {"port": port, "new": before is None, "waits": waits}
    return {"services": found}


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
        if not home.state.exists():
            layout.owners.forget(home.name)
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
    **{verb.__name__: verb for verb in (services, remove_services, check_services)},
}
SERVICE_QUESTIONS = ("backups", "backup_read", "backup_write", "backup_remove", "check_services")
"""Those that are not in the way of a deploy."""
