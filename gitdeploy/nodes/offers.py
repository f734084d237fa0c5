"""What providers offer, and what is taken where nobody says what: the smallest size that will do, the newest Debian 12; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Refused

LEAST_MEMORY = 500
"""MB; with less, Debian and one small application do not fit."""
ARCHITECTURES = {
    "x86_64": ("amd64", "x86_64", "x86-64", "x64"),
    "aarch64": ("arm64", "aarch64", "graviton", "armv8"),
    "i686": ("i386", "i686"),
}
"""How the machines that Python calls so are called elsewhere."""
WRONG = re.compile(r"daily|backports|snapshot|sid\b|testing|desktop|live\b", re.IGNORECASE)
DEBIAN_12 = re.compile(r"debian\D{0,20}12(?!\d)|\bbookworm\b", re.IGNORECASE)
DATE = re.compile(r"20\d\d-?[01]\d-?[0-3]\d(-?\d{4,6})?")


@dataclass(frozen=True)
class Size:
    """What a machine may have: memory in MB, disk in GB (0: it does not say), price an hour (None: not known)."""

    id: str
    name: str
    ram: int
    disk: int
    price: float | None
    note: str = ""


@dataclass(frozen=True)
class Offer:
    """An image: what a machine begins with. `about` is what else is known of it, for a choice."""

    id: str
    name: str
    note: str = ""
    about: str = ""


def size(one: Any) -> Size:
    """A size of libcloud."""
    extra = dict(one.extra or {})
    processor = " ".join(str(extra.get(key, "")) for key in ("physicalProcessor", "architecture"))
    price = None if one.price is None else float(one.price)
    note = str(extra.get("note", "")) or ("arm64" if architecture(f"{one.id} {processor}") == "aarch64" else "")
    return Size(str(one.id), str(one.name), int(one.ram or 0), int(one.disk or 0), price, note)


def image(one: Any) -> Offer:
    """An image of libcloud."""
    extra = dict(one.extra or {})
    made = str(extra.get("creation_date") or extra.get("created_at") or "")[:10]
    about = f"{extra.get('architecture') or ''} {made}".strip()
    return Offer(str(one.id), str(one.name or ""), str(extra.get("note", "")), about)


def architecture(text: str) -> str | None:
    """The machine, as Python calls it, that a text speaks of."""
    low = text.lower()
    return next((name for name, words in ARCHITECTURES.items() if any(word in low for word in words)), None)


def smallest(sizes: Sequence[Size], machine: str) -> Size:
    """The size for who does not say: the one with the least memory that will do, then the cheapest. Raises Refused."""
    fitting = [one for one in sizes if one.ram >= LEAST_MEMORY and (one.note != "arm64" or machine == "aarch64")]
    if not fitting:
        raise Refused("no size can be told to fit; choose one: list-sizes, then --size")
    return min(fitting, key=lambda one: (one.ram, one.price is None, one.price or 0.0, one.id))


def newest(images: Sequence[Offer], machine: str) -> Offer:
    """The image for who does not say: Debian 12 for `machine`, the latest by the dates in what is known. Raises Refused."""
    fitting = [
        one
        for one in images
        if DEBIAN_12.search(f"{one.id} {one.name}")
        and not WRONG.search(f"{one.id} {one.name}")
        and architecture(f"{one.name} {one.about}") in (machine, None)
    ]
    dated = {one: max(dates(f"{one.name} {one.about}"), default="") for one in fitting}
    latest = [one for one in fitting if dated[one] == max(dated.values())]
    plain = [one for one in latest if one.name and len(one.name) == min(len(other.name) for other in latest)]
    if len(plain) == 1:
        return plain[0]
    how = "no image is Debian 12 for sure" if not fitting else f"{len(fitting)} images may be the right Debian 12"
    raise Refused(f"{how}; choose one: list-images, then --image")


def dates(text: str) -> list[str]:
    """The dates in a text, each as digits."""
    return [match[0].replace("-", "") for match in DATE.finditer(text)]
