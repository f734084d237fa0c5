"""Where answers come from: the one thing that applications and files look like to a client's connection."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Where an answer comes from while it is under way: an application (proxy.Passage) or a file (static.Reading)."""

    def body(self, data: bytes) -> None:
        """A part of the request's body."""

    def body_end(self) -> None:
        """The request is complete."""

    def tunnel(self, data: bytes) -> None:
        """Bytes of the protocol that was switched to."""

    def pause(self) -> None:
        """The client does not take more for now."""

    def resume(self) -> None:
        """It does again."""

    def stop(self) -> None:
        """Nobody wants the rest: release everything, say nothing. May be called twice."""
