"""What an app keeps in an environment: backed up, restored, cleared, copied into another one.

All of an environment's services are on one node, so a backup is one file there. Here it only passes through, a piece at a time.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import takewhile
from typing import Any, Protocol, TypeVar

from buildless import service
from buildless.description import Description
from buildless.service import Account

from ..errors import NotFound, Refused
from ..git.inspect import Limits
from ..names import Place, nearest, quoted
from ..nodes.node import Node, Say, Session
from ..text import size
from .attempt import to_the_end
from .content import Content, Faults
from .services import external, node_of
from .site import Site

LONG = 6 * 3600.0  # seconds for a backup of all that an app has
PIECE = 1 << 20  # bytes that are sent to a node at a time

T = TypeVar("T")


class IO(Protocol):
    """Whoever typed a command."""

    def allowed(self) -> bool:
        """Whether he still may do anything here."""

    def error(self, text: str) -> None:
        """Tell him something beside the result."""


class Data:
    """The data of one app in one environment, and the node that has them, while one talks to it (`keeping`)."""

    def __init__(self, site: Site, place: Place, node: Node, session: Session, services: tuple[str, ...]) -> None:
        self.site, self.place, self.node, self.session = site, place, node, session
        self.key = site.key(place)
        self.services = services  # those that keep something

    async def call(self, verb: str, limit: float | None = None, **request: Any) -> dict[str, Any]:
        return await self.session.call(verb, limit or self.site.config.limits.step, app=self.key, **request)

    async def backup(
        self, services: tuple[str, ...] = (), *, keep: bool = False, since: float | None = None
    ) -> dict[str, Any]:
        """Have a backup made, of all services if none is named: its `file`, `size` and `services`. With `keep` it stays there.

        Of earlier ones only the latest stay then, and the first one after `since` (POSIX seconds).
        Whoever calls has the turn of the place.
        """
        chosen = services or self.services
        if not chosen:
            raise NotFound(f"{self.place} has no service that keeps anything; there is nothing to back up")
        about = {"app": self.place.app, "environment": self.place.environment}
        more = {} if since is None else {"since": since}
        return await self.call("backup", LONG, services=list(chosen), about=about, keep=keep, **more)

    async def pieces(self, file: str) -> AsyncIterator[bytes]:
        """All of a backup."""
        offset = 0
        while data := base64.b64decode((await self.call("backup_read", file=file, offset=offset))["data"]):
            yield data
            offset += len(data)

    async def take(self, pieces: AsyncIterator[bytes]) -> str:
        """Bring a backup to the node; returns its file there, which is for `remove`, too."""
        file, offset, waiting = None, 0, bytearray()
        try:
            async for data in pieces:
                waiting += data
                if len(waiting) >= PIECE:
                    file, offset = await self.put(file, offset, waiting)
            file, offset = await self.put(file, offset, waiting)
        except BaseException:
            if file is not None:
                await self.remove(file)
            raise
        return file

    async def put(self, file: str | None, offset: int, waiting: bytearray) -> tuple[str, int]:
        data = base64.b64encode(waiting).decode()
        answer = await self.call("backup_write", file=file, offset=offset, data=data)
        offset += len(waiting)
        waiting.clear()
        return answer["file"], offset

    async def restore(self, file: str, services: tuple[str, ...] = (), of: str | None = None) -> dict[str, Any]:
        """Put what is in a backup on the node in the place of what there is. `of` is whose it must be: this app's, if nobody says.

        Whoever calls has the turn of the place. Raises Refused; then all is as it was, unless that says otherwise.
        """
        return await self.call("restore", LONG, file=file, of=of or self.place.app, services=list(services))

    async def clear(self, services: tuple[str, ...]) -> None:
        await self.call("clear", LONG, services=list(services))

    async def delete(self, services: Sequence[str]) -> None:
        """Remove services, with all that is in them."""
        await self.call("remove_services", LONG, services=list(services))

    async def remove(self, file: str) -> None:
        """Delete a backup that has been sent, or was to be restored; whoever it was for may be gone, and the session with him."""
        await self.site.ask(self.node, "backup_remove", app=self.key, file=file)


def named(words: Sequence[str]) -> tuple[str, ...]:
    """The services that somebody names. Raises NotFound for a word that is none."""
    known = service.names()
    for word in words:
        if word not in known:
            guess = nearest(word, known)
            raise NotFound(
                f"there is no service {quoted(word)}; "
                + (f"did you mean {guess}?" if guess else f"there are {', '.join(known)}")
            )
    return tuple(words)


def described(site: Site, place: Place) -> Description:
    """What app.yaml of the live release of an app says. Raises NotFound where it was never deployed."""
    _, commit = site.deployed(place)
    repository = site.repository(place.app)
    info = repository.commit(commit)
    assert info is not None
    try:
        limits = Limits(site.config.limits.files, site.config.limits.unpacked)
        return Content(repository, info.tree, limits, None).describe()
    except Faults as error:
        raise Refused(f"app.yaml of {place} cannot be read any more; push another version", *error.faults) from error


def kept_in(site: Site, place: Place) -> list[str]:
    """The services that the live release of an app keeps something in; none where nothing is live."""
    try:
        wanted = described(site, place).services
    except (NotFound, Refused):
        return []
    return [name for name in wanted if service.find(name).keeps]


def wanted(site: Site, place: Place) -> list[str]:
    """The services on a node that the live release of an app wants. Raises NotFound where it was never deployed."""
    found = described(site, place).services
    variables = site.config_vars(place).read(place.environment).variables
    return [name for name in found if external(service.find(name), variables, found) is None]


def local(accounts: Sequence[Account]) -> list[str]:
    """The services that are ours to keep."""
    return [account.service for account in accounts if not account.url]


@asynccontextmanager
async def keeping(
    site: Site, place: Place, services: Sequence[str] | None = None, node: Node | None = None
) -> AsyncIterator[Data]:
    """Talk to the node that keeps the data of an app, in these services or all that it wants; or to `node`, if it is another one.

    Raises NotFound, or Refused if it does not answer.
    """
    names = wanted(site, place) if services is None else list(services)
    if not names and node is None:
        raise NotFound(f"{place} has no service on a node that keeps anything; see services in docs/app-yaml.rst")
    node = node or site.node(node_of(site.environment(place), names))
    if (problem := await node.reach()) is not None:
        raise Refused(
            f"{node.name}, which has the services of {place}, does not answer: {problem}; try again when it is back"
        )
    async with site.talking(node) as session:
        yield Data(site, place, node, session, tuple(one for one in names if service.find(one).keeps))


async def there(site: Site, place: Place) -> dict[Node, list[str]]:
    """The services that an app has, by their node, also those that its live release does not name any more.

    They are on the node for that, or on another one of the environment's, which was that before.
    """
    names = dict.fromkeys((node_of(site.environment(place), []), *site.environment(place).nodes))
    found = {}
    for node in (site.node(name) for name in names):
        if (problem := await node.reach()) is not None:
            raise Refused(
                f"{node.name}, which may have services of {place}, does not answer: {problem}; try again when it is back"
            )
        if services := list((await site.ask(node, "check_services", app=site.key(place)))["services"]):
            found[node] = services
    return found


async def keep(site: Site, place: Place, say: Say, services: Sequence[str], node: Node | None = None) -> str | None:
    """Have a backup made of all that these services keep; `node` as for `keeping`. The first since what is live went live stays.

    It stays on their node; says that, and returns its name. For who changes data next, and has the turn of the place. None where
    there is nothing that keeps anything.
    """
    if not any(service.find(name).keeps for name in services):
        return None
    async with keeping(site, place, services, node) as data:
        made = await data.backup(keep=True, since=live_since(site, place))
    file: str = made["file"]
    what = ", ".join(one["service"] for one in made["services"])
    say(f"{data.node.name}: {what} kept as {file} ({size(made['size'])})")
    for line in (f"{one['service']}: {line}" for one in made["services"] for line in one.get("said", ())):
        say(f"{data.node.name}: {line}")
    return file


def live_since(site: Site, place: Place) -> float | None:
    """When the version that is live went live, in POSIX seconds; None if nothing was ever released."""
    releases = site.repository(place.app).releases(place.environment)
    same = list(takewhile(lambda one: one.commit == releases[-1].commit, reversed(releases)))
    return same[-1].time + 1 if same else None  # it is recorded in whole seconds


async def put_back(site: Site, place: Place, file: str) -> None:
    """Restore a backup that `keep` had made. Whoever calls has the turn of the place."""
    async with keeping(site, place, (), site.node(node_of(site.environment(place), []))) as data:
        await data.restore(file)


async def let_in(site: Site, place: Place) -> None:
    """The data are what somebody wants them to be: if an update that was cut short still keeps everybody out, end that."""
    if site.held(place) is None:
        return
    site.hold(place, None)
    for node in site.nodes_of(place):
        if await node.reach() is None:
            async with site.talking(node) as session:
                await session.unhold(site.key(place), site.counts(place))


@asynccontextmanager
async def turn(site: Site, place: Place, user: str, say: Say) -> AsyncIterator[None]:
    """Nobody deploys to the place meanwhile; whoever does is waited for, and `say` told of."""
    waiting = site.queue.turn(place, user, site.config.limits.wait, lambda who: say(f"waiting for the deploy of {who}"))
    async with waiting:
        yield


async def replace(
    site: Site, place: Place, user: str, io: IO, work: Callable[[Data], Awaitable[T]], file: str | None = None
) -> T:
    """Do what changes data. Whoever asked may go away from here on: it is done to its end. `file` is removed after it."""

    async def working() -> T:
        async with turn(site, place, user, io.error), keeping(site, place) as kept:
            try:
                if not io.allowed():
                    raise Refused(f"the key of {user} has been removed; nothing was changed")
                return await work(kept)
            finally:
                if file is not None and file.startswith("got-"):
                    await kept.remove(file)

    return await to_the_end(working())
