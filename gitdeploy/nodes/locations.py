"""Which app of the embedded node a request is for, by its host name and path; nodes have the same in nginx's configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from buildless.values import ANY

from ..web.fields import Ask, path_of

PARTS = 3  # of a path, at most: see buildless.values.location
KEPT = re.compile(r"(v[1-9][0-9]{0,8})\.(.+)")


@dataclass(frozen=True)
class Found:
    """An app, the path that it answers below, and the release that is to be looked at; empty: the live one."""

    app: str
    path: str = ""
    release: str = ""


def longest(apps: Mapping[str, str], host: str, path: str) -> Found | None:
    """The app of a host whose location has the longest path that `path` is below; `apps` is by location.

    >>> apps = {"example.com": "shop", "example.com/blog": "blog"}
    >>> longest(apps, "example.com", "/blog/x"), longest(apps, "example.com", "/blogger")
    (Found(app='blog', path='/blog', release=''), Found(app='shop', path='', release=''))
    """
    parts = path.split("/")[: PARTS + 1]
    for count in range(len(parts), 0, -1):
        below = "/".join(parts[:count])
        if host and (app := apps.get(host + below)):
            return Found(app, below)
    return None


def find(apps: Mapping[str, str], ask: Ask) -> Found | bytes | None:
    """What a request is for; or where to go instead: to ``/blog/`` from ``/blog``, to a name that differs in ``www.``."""
    path = path_of(ask.target)
    if found := longest(apps, ask.host, path):
        _, question, query = ask.target.partition(b"?")
        return f"{path}/".encode() + question + query if found.path == path else found
    kept = KEPT.fullmatch(ask.host)
    if kept and (app := apps.get(kept[2])):
        return Found(app, release=kept[1])
    other = ask.host.removeprefix("www.") if ask.host.startswith("www.") else f"www.{ask.host}"
    if longest(apps, other, path):
        port = b":" + ask.port if ask.port else b""
        return b"//" + other.encode() + port + ask.target
    return Found(apps[ANY]) if ANY in apps else None
