"""Where the files of `static` have a URL that changes with each version, so that whoever has one need not ask again."""

from __future__ import annotations

import re
from typing import Iterable

from buildless.values import split_location

NAME = ".static"
"""What such a URL has before the version. Names with a dot in front are shown nowhere else, so it is in nobody's way."""

VERSIONED = re.compile(rb"(?:/[^?]*)?/\.static/([0-9a-f]{40,64})(/[^?]*)(?:\?.*)?", re.DOTALL)
"""The target of a request for such a file: the version, and the file's own path. Before it may stand the path of a location."""


def url(commit: str, locations: Iterable[str]) -> str:
    """The URL path that the files of a version are below: in the first path that the application has, or at the top.

    >>> url("1f3a9c07" * 5, ["shop.example.com"])
    '/.static/1f3a9c071f3a9c071f3a9c071f3a9c071f3a9c07/'
    >>> url("1f3a9c07" * 5, ["shop.example.com", "example.com/shop", "example.com/store"])
    '/shop/.static/1f3a9c071f3a9c071f3a9c071f3a9c071f3a9c07/'
    """
    prefix = next((path for path in (split_location(one)[1] for one in locations) if path), "")
    return f"{prefix}/{NAME}/{commit}/"
