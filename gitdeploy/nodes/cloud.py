"""What we ask of a provider, over libcloud's drivers: sizes, images, machines; make, start, stop, destroy one. It blocks.

Machines that we made carry a mark, so that those that nobody has a record of can be found: a tag called gitdeploy where the
driver knows tags, else the beginning of the name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from libcloud.compute.types import NodeState

from ..errors import GitdeployError, NotFound, Refused
from ..names import nearest, quoted
from . import handover, offers
from .offers import Offer, Size

MARK = "gitdeploy"
GONE = (NodeState.TERMINATED,)
DEBIAN = {"ex_owner": "136693071363"}
"""Where a driver lists what everybody in the world has put there: Debian's own account at Amazon."""


@dataclass(frozen=True)
class Found:
    """A machine at a provider: `name` is what we called it, None if it is not ours."""

    id: str
    name: str | None
    state: str
    addresses: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    host_keys: tuple[str, ...] = ()
    problem: str = ""
    """What the provider says of the state, if it does."""

    @property
    def address(self) -> str | None:
        """How to reach it: IPv4 before IPv6, in the open before inside of the provider."""
        return next(iter(sorted(self.addresses, key=lambda one: ":" in one)), None)


@dataclass
class Cloud:
    """The provider called `name`; `each` is what all machines are made with."""

    name: str
    driver: Any
    login: str = "root"
    location: str | None = None
    each: Mapping[str, Any] = field(default_factory=dict)

    def sizes(self) -> list[Size]:
        with self.asked():
            return [offers.size(one) for one in self.driver.list_sizes()]

    def images(self) -> list[Offer]:
        with self.asked():
            return [offers.image(one) for one in self._images()]

    def machines(self) -> list[Found]:
        """Those there are, and not those that are gone and only shown for a while."""
        with self.asked():
            return [found(node) for node in self.driver.list_nodes() if node.state not in GONE]

    def machine(self, number: str) -> Found | None:
        """One of them, by the provider's own name for it; None if it is gone."""
        return next((one for one in self.machines() if one.id == number), None)

    def prepare(self, image: str, say: Callable[[str], None]) -> None:
        """Have the image made, where the driver makes images itself; `say` gets a line about what takes long."""
        if hasattr(self.driver, "ex_prepare"):
            self.driver.ex_say = say
            with self.asked():
                self.driver.ex_prepare(self._image(image))

    def create(self, name: str, size: str, image: str, login: str, key: str) -> Found:
        """Make a machine that lets `login` in with the public key `key`. Returns as soon as the provider has taken it on."""
        with self.asked():
            takes = inspect.signature(self.driver.create_node).parameters
            marked = self._marked(name, takes)
            handed = handover.handed(self.driver, takes, login, key)
            where = self._where(takes)
            values = {**self.each, **marked, **handed, **where}
            return found(self.driver.create_node(size=self._size(size), image=self._image(image), **values))

    def destroy(self, number: str) -> bool:
        """Destroy a machine; False if there is none any more."""
        with self.asked():
            for node in self.driver.list_nodes():
                if str(node.id) == number and node.state not in GONE:
                    if self.driver.destroy_node(node) is False:
                        raise Refused(f"{self.name} does not destroy {number}; look there, it may be protected")
                    return True
        return False

    def start(self, number: str) -> None:
        """Have a machine that is stopped start again. Returns as soon as the provider has taken it on. Raises Refused."""
        with self.asked():
            if self.driver.start_node(self._node(number)) is False:
                raise Refused(f"{self.name} does not start {number}; see there why")

    def stop(self, number: str) -> None:
        """Have a machine shut down; what it has stays. Returns as soon as the provider has taken it on. Raises Refused."""
        with self.asked():
            if self.driver.stop_node(self._node(number)) is False:
                raise Refused(f"{self.name} does not stop {number}; see there why")

    @contextmanager
    def asked(self) -> Iterator[None]:
        """What goes wrong at the provider, in one line that says where."""
        try:
            yield
        except GitdeployError:
            raise
        except NotImplementedError as error:
            raise Refused(f"{self.name}: its driver cannot do that ({error}); do it there") from error
        except Exception as error:  # drivers raise what they like, Exception itself included
            text = " ".join(str(error).split()) or type(error).__name__
            raise Refused(f"{self.name}: {text}; look at its settings under providers: in gitdeploy.yaml") from error

    # What drivers are asked.

    def _node(self, number: str) -> Any:
        for node in self.driver.list_nodes():
            if str(node.id) == number and node.state not in GONE:
                return node
        raise NotFound(f"{self.name} has no machine {quoted(number)} any more; see: list-nodes")

    def _images(self) -> list[Any]:
        takes = inspect.signature(self.driver.list_images).parameters
        if all(key in takes for key in DEBIAN):
            return [*self.driver.list_images(**DEBIAN), *self.driver.list_images(ex_owner="self")]
        return list(self.driver.list_images())

    def _image(self, wanted: str) -> Any:
        images = self._images()
        for one in images:
            if wanted in (str(one.id), one.name):
                return one
        try:
            return self.driver.get_image(wanted)
        except GitdeployError:
            raise
        except Exception as error:  # as above
            guess = nearest(wanted, [word for one in images for word in (str(one.id), str(one.name))])
            advice = f"did you mean {guess}?" if guess else f"see: list-images --provider {self.name}"
            raise NotFound(f"{self.name} has no image {quoted(wanted)}; {advice}") from error

    def _size(self, wanted: str) -> Any:
        sizes = self.driver.list_sizes()
        for one in sizes:
            if wanted in (str(one.id), one.name):
                return one
        guess = nearest(wanted, [word for one in sizes for word in (str(one.id), str(one.name))])
        advice = f"did you mean {guess}?" if guess else f"see: list-sizes --provider {self.name}"
        raise NotFound(f"{self.name} has no size {quoted(wanted)}; {advice}")

    def _marked(self, name: str, takes: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        if "ex_metadata" in takes:
            return {"name": name, "ex_metadata": {MARK: name}}
        return {"name": f"{MARK}-{name}"}

    def _where(self, takes: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        needed = "location" in takes and takes["location"].default is inspect.Parameter.empty
        if self.location is None and not needed:
            return {}
        locations = self.driver.list_locations()
        for one in locations:
            if self.location in (str(one.id), one.name) or (self.location is None and len(locations) == 1):
                return {"location": one}
        known = ", ".join(str(one.id) for one in locations)
        raise Refused(f"{self.name} needs to know where; write location: under providers.{self.name}, one of {known}")


def found(node: Any) -> Found:
    """A node of libcloud, as we see it."""
    tags = node.extra.get("tags") or node.extra.get("metadata") or {}
    mark = tags.get(MARK) if isinstance(tags, dict) else None
    if mark is None and str(node.name).startswith(f"{MARK}-"):
        mark = str(node.name).removeprefix(f"{MARK}-")
    return Found(
        str(node.id), mark, str(node.state), tuple(node.public_ips), tuple(node.private_ips),
        tuple(node.extra.get("host_keys", ())), str(node.extra.get("problem") or node.extra.get("reason") or ""),
    )  # fmt: skip
