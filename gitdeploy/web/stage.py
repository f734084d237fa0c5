"""The stages of a client's connection, each named once."""

from __future__ import annotations

import enum


class Stage(enum.Enum):
    """Where a connection stands."""

    IDLE = enum.auto()  # nothing of a request has come
    HEAD = enum.auto()  # a part of a request's head has come
    ANSWERING = enum.auto()
    TUNNEL = enum.auto()  # switched to another protocol: bytes both ways
    CLOSING = enum.auto()  # whatever still comes is thrown away
