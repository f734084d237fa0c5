"""What answers for a request: decided once per request, so that code and static files of two releases never mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitdeploy.web.pages import Page


@dataclass(frozen=True)
class Target:
    """A release, as the front sees it.

    `app` names the application on pages: ``shop`` or ``shop (staging)``; `release` is ``v7``.
    `socket` is the path of the application's unix socket (at most 107 bytes), or None when nothing runs.
    `static` is a directory served at the root before the application, or None.
    `root` is the version's tree: symbolic links under `static` may point anywhere in it and never out of it;
    None stands for `static` itself.
    `began` and `ended` are called exactly once each per request (or upgraded connection): a release is drained when
    as many have ended as began.
    """

    app: str
    release: str
    socket: str | None
    static: str | None
    began: Callable[[], None]
    ended: Callable[[], None]
    root: str | None = None


# (host without port, lower-cased, "" when the client named none; header fields with lower-cased names) -> the answer
Resolve = Callable[[str, Mapping[bytes, bytes]], Target | Page]
