"""The end of an app in an environment: its own last words, a backup that stays, and then all of it but that."""

from __future__ import annotations

import shutil

from buildless.service import secret_variables

from ..errors import GitdeployError, Refused
from ..names import Place
from ..nodes.node import Node
from . import data
from .attempt import Attempt, to_the_end
from .lifecycle import run_command
from .services import accounts
from .site import Site

NOBODY: dict[str, int] = {}


class Destruction(Attempt):
    """One attempt of `user`. Before anything is deleted it can fail without a trace; after that it is to be repeated."""

    def __init__(self, site: Site, place: Place, user: str) -> None:
        super().__init__(site, place, user, "destroy")
        self.key = site.key(place)

    async def run(self) -> None:
        """Raises Refused, with what to do."""
        self.begin()
        try:
            await self.wait_for_turn()
            self.site.deployed(self.place)
            nodes = self.site.nodes_of(self.place)
            for node in nodes:
                if (problem := await node.reach()) is not None:
                    raise Refused(f"{node.name} does not answer ({problem}); do it again when it is back")
            await self.say_goodbye(nodes[0])
            self.committed = True  # whoever asked may go away now
            await to_the_end(self.delete(nodes))
            self.end("destroyed")
        except BaseException as error:
            self.end("refused", error=str(error) or type(error).__name__)
            raise
        finally:
            await self.finish()

    async def say_goodbye(self, first: Node) -> None:
        """What the application wants to do before."""
        if (await self.site.ask(first, "state", app=self.key))["live"] is None:
            return  # an earlier attempt came as far as that
        description = data.described(self.site, self.place)
        variables = self.site.config_vars(self.place).read(self.place.environment).variables
        found = accounts(self.site, self.place, self.key, description, variables)
        self.report.mask({**secret_variables(found), **variables})
        if words := description.before_delete:
            self.report.step("Before it is deleted")
            say = self.report.detail
            await run_command(
                self.site, first, self.key, words, "before_delete", lambda text: say(f"{first.name}: {text}")
            )

    async def delete(self, nodes: tuple[Node, ...]) -> None:
        """When nobody writes any more: the backup, then all that there is."""
        self.report.step("Deleting")
        counts = self.site.counts(self.place)
        for node in nodes:
            async with self.site.talking(node) as session:
                await session.hold(self.key)
        services = await data.there(self.site, self.place)
        try:
            for node, names in services.items():
                if file := await data.keep(self.site, self.place, self.report.detail, names, node):
                    self.event("backup", kept=file)
        except GitdeployError:
            for node in nodes:
                async with self.site.talking(node) as session:
                    await session.unhold(self.key, counts)  # it is all there
            raise
        for node, names in services.items():
            async with data.keeping(self.site, self.place, names, node) as kept:
                await kept.delete(names)
        for node in nodes:
            async with self.site.talking(node) as session:
                await session.call("forget", self.site.config.limits.step, app=self.key, live=True)
                await session.unhold(self.key, NOBODY)
            self.report.detail(f"{node.name}: gone")
        repository = self.site.repository(self.place.app)
        repository.forget(self.place.environment)
        self.site.config_vars(self.place).forget(self.place.environment)
        self.site.maintain(self.place, False)
        self.site.hold(self.place, None)
        for top in ("secrets", "passwords", "stage"):
            path = self.site.home / top / self.place.app / self.place.environment
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        if not repository.has_refs():
            self.site.remove(self.place.app)
