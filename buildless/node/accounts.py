"""What a node knows of the services of its apps: a file for each account, read by root alone, so that no request need say it."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Dict, Iterator, Mapping

from buildless import service
from buildless.errors import NodeError
from buildless.node.layout import AppLayout, Layout
from buildless.service import Account, Service

PASSWORD = re.compile(r"[0-9a-f]{32,128}")


def checked(app: str, request: Mapping[str, Any]) -> Account:
    """The account that is asked for. Everything in it gets into SQL or a configuration: it is looked at again here."""
    found = service_called(str(request["service"]))
    options = {str(name): tuple(map(str, words)) for name, words in dict(request["options"]).items()}
    if strange := set(options) - set(found.options):
        raise NodeError(f"{found.name} has no option {', '.join(sorted(strange))}; change app.yaml")
    if problem := found.problem(options):
        raise NodeError(f"{found.name}: {problem}")
    if not PASSWORD.fullmatch(str(request["password"])):
        raise NodeError("that is no password of ours; deploy the app again")
    host, clients = str(request["host"]), tuple(map(str, request["clients"]))
    for address in (*([host] if host else []), *clients):
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise NodeError(f"{error}; make the node with an address: create-node --from") from error
        if "%" in address:  # behind which it takes anything for the name of an interface
            raise NodeError(f"{address!r} is an address of one interface; make the node with another one")
    return Account(found.name, app, str(request["password"]), options, host, 0, clients)


def service_called(name: str) -> Service:
    try:
        return service.find(name)
    except ValueError as error:
        raise NodeError(str(error)) from error


def keep(home: AppLayout, account: Account) -> None:
    """Write it whole or not at all."""
    home.accounts.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.accounts.mkdir(exist_ok=True, mode=0o700)
    new = home.accounts / f".{account.service}.new"
    with suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(account), file)
    new.replace(home.accounts / f"{account.service}.json")


def kept(home: AppLayout) -> Dict[str, Account]:
    """The accounts that an app has here."""
    if not home.accounts.is_dir():
        return {}
    return {path.stem: read(home, path.stem) for path in sorted(home.accounts.glob("[a-z]*.json"))}


def everybody(layout: Layout) -> Iterator[Account]:
    """Those of all apps here."""
    names = [path.name for path in layout.accounts.iterdir()] if layout.accounts.is_dir() else []
    for name in names:
        if name != layout.ports.name:
            yield from kept(layout.app(name)).values()


def anybody(layout: Layout, *services: str) -> bool:
    """Whether an app here has one of these services already."""
    return any(one.service in services for one in everybody(layout))


def read(home: AppLayout, name: str) -> Account:
    """One of them. Raises NodeError if there is none."""
    service_called(name)
    try:
        values = json.loads((home.accounts / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NodeError(f"{home.name} has no {name} here; write it under services: in app.yaml, and push") from error
    options = {key: tuple(words) for key, words in values["options"].items()}
    return Account(**{**values, "options": options, "clients": tuple(values["clients"])})


def forget(home: AppLayout, name: str) -> None:
    """The app has none any more."""
    account = read(home, name)
    (home.accounts / f"{name}.json").unlink()
    if account.port:
        (home.node.ports / str(account.port)).unlink(missing_ok=True)
    with suppress(OSError):
        home.accounts.rmdir()  # that was the last one
