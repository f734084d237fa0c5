"""A push as data, and what is asked about it before and after its refs move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

ZERO = "0" * 40
"""Git's id for 'no object': the old id of a ref that is made, the new id of one that is deleted."""


@dataclass(frozen=True)
class Update:
    """One ref that a push wants to move, as pre-receive gets it (githooks(5))."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True)
class Push:
    """What pre-receive said: the refs, and git's variables, with which the quarantined objects can be read."""

    updates: tuple[Update, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


class Attempt(Protocol):
    """The deploy that a push asks for, seen from git's side of it."""

    def quiet(self) -> None:
        """From now on, show no progress of transfers: whoever pushes has no terminal, or wants none."""

    async def prepare(self, push: Push) -> None:
        """Do everything that can say no. Raises Refused or another GitdeployError: then no ref moves."""

    def committing(self) -> None:
        """The last look before git is told yes; raises Refused when the world has changed meanwhile."""

    async def activate(self) -> None:
        """The refs have moved: finish."""

    async def abandon(self, reason: BaseException) -> None:
        """The refs have not moved, and will not: undo what `prepare` did."""
