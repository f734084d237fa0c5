"""What answers for a host name on the embedded node: the questions of the web front, which asks once for each request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from buildless.node import kinds
from buildless.processes import WEB

from ..web import pages
from ..web.fields import Ask
from ..web.pages import Page
from ..web.target import Target
from . import locations

if TYPE_CHECKING:
    from .crew import Crew
    from .embedded import EmbeddedNode
    from .supervisor import Instance

RELEASE_HEADER = b"x-gitdeploy-release"


class Answers:
    """`live` and `checked` are what a Front takes as its `resolve`."""

    def __init__(self, node: EmbeddedNode) -> None:
        self.node = node

    def live(self, ask: Ask) -> Target | Page:
        """What answers a request: the release that `live` points to right now."""
        found = locations.find(self.node.hosts, ask)
        if isinstance(found, bytes):
            return pages.moved(found)
        if found is None:
            return pages.unknown_host(ask.host)
        if page := self.closed(found.app):
            return page
        release = found.release or self.node.live(found.app)
        if release is None or not self.node.files.app(found.app).release(release).is_dir():
            return pages.unknown_host(ask.host)
        if found.release:
            self.node.wake(found.app, release)
        answer = self.target(found.app, release)
        return replace(answer, prefix=found.path) if isinstance(answer, Target) else answer

    def closed(self, key: str) -> Page | None:
        """Why nobody is answered, whichever release of an app he means."""
        if self.node.files.app(key).maintenance.exists():
            return pages.maintenance(shown(key))
        return pages.updating(shown(key)) if key in self.node.held else None

    def checked(self, ask: Ask) -> Target | Page:
        """The same for our own checks, which name a release that may not be live yet."""
        key, _, release = ask.fields.get(RELEASE_HEADER, b"").decode().partition("/")
        return self.target(key, release)

    def target(self, key: str, release: str) -> Target | Page:
        """A release's processes and static files, or the page that says why it has none."""
        record = self.node.record(key, release)
        crew = self.node.crews.get((key, release))
        instance = crew.answering.get(WEB) if crew else None
        name = shown(key)
        if record.get("runs") and (instance is None or instance.state in ("stopped", "stopping")):
            return pages.stopped(name)
        if record.get("runs") and instance is not None and instance.state == "down":
            return pages.down(name)
        tree = os.path.realpath(self.node.files.app(key).release(release) / "tree")
        public = self.node.files.app(key).release(release) / "public"
        static = os.path.join(tree, record.get("static", "static"))
        return Target(
            app=name,
            release=release,
            socket=str(instance.path) if instance and record.get("runs") else None,
            static=static if os.path.isdir(static) and not record.get("php") else None,
            began=instance.began if instance else nothing,
            ended=instance.ended if instance else nothing,
            root=tree,
            routes=tuple(self.route(name, release, path, instance) for path, instance in self.paths(record, crew)),
            versions=str(self.node.files.app(key).versions),
            public=str(public) if public.is_dir() else None,
        )

    def paths(self, record: Mapping[str, Any], crew: Crew | None) -> list[tuple[str, Instance | None]]:
        """The process types that answer below a path, the longest first."""
        found = [(one.path, name) for name, one in kinds.of(record).items() if one.path is not None]
        return [(path, crew.answering.get(name) if crew else None) for path, name in sorted(found, reverse=True)]

    def route(self, app: str, release: str, path: str, instance: Instance | None) -> tuple[str, Target]:
        """What answers below a path."""
        socket, began, ended = (
            (str(instance.path), instance.began, instance.ended) if instance else ("", nothing, nothing)
        )
        return path, Target(app=app, release=release, socket=socket, static=None, began=began, ended=ended)


def shown(key: str) -> str:
    """What pages call an app: ``shop (staging)``."""
    return key.replace(".", " (") + (")" if "." in key else "")


def nothing() -> None:
    """For releases without a process there is nothing to count."""
