"""The edge where Twisted calls us: an exception there would drop a connection without a word to anybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from twisted.logger import Logger

_log = Logger()
P = ParamSpec("P")


class Breakable(Protocol):
    """Something that knows how to end when we made a mistake."""

    def broken(self) -> None: ...


B = TypeVar("B", bound=Breakable)


def guarded(method: Callable[Concatenate[B, P], None]) -> Callable[Concatenate[B, P], None]:
    """`method`, whose unexpected exceptions are logged with their traceback and end in `broken()`."""

    @wraps(method)
    def run(self: B, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:  # the edge: nobody above us could do better
            _log.failure("{where} failed; please report this", where=method.__qualname__)
            self.broken()

    return cast(Callable[Concatenate[B, P], None], run)
