"""What answers for a request: decided once per request, so that code and static files of two releases never mix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitdeploy.web.fields import Ask, path_of
from gitdeploy.web.pages import Page


@dataclass(frozen=True)
class Target:
    """A release, as the front sees it.

    `app` names the application on pages: ``shop`` or ``shop (staging)``; `release` is ``v7``.
    `socket` is the path of the application's unix socket (at most 107 bytes), or None when nothing runs.
    `static` is a directory served at the root before the application, or None.
    `root` is the version's tree: symbolic links under `static` may point anywhere in it and never out of it;
    None stands for `static` itself.
    `public` is a directory of files that the application has stored for all to see, for those that `static` does not have.
    `versions` is the directory with a link to the static files of each version that is kept, by its URL (buildless/static.py).
    `began` and `ended` are called exactly once each per request (or upgraded connection): a release is drained when
    as many have ended as began.
    `routes` are what answers below paths of its own, such as ``/chat``; the first that fits counts.
    `prefix` is the path that all of this is below, empty or such as ``/blog``.
    """

    app: str
    release: str
    socket: str | None
    static: str | None
    began: Callable[[], None]
    ended: Callable[[], None]
    root: str | None = None
    public: str | None = None
    versions: str | None = None
    routes: tuple[tuple[str, Target], ...] = ()
    prefix: str = ""

    def at(self, target: bytes) -> Target:
        """What answers for a request's target: a route, or this."""
        if not self.routes:
            return self
        path = path_of(target)
        return next((found for prefix, found in self.routes if f"{path}/".startswith(f"{prefix}/")), self)


Resolve = Callable[[Ask], Target | Page]
"""What answers a request."""
