"""A client's terminal, as its requests describe it (RFC 4254, sections 6.2 and 6.7)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

from twisted.conch.ssh.common import getNS

KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
LARGEST = 0xFFFF
SIZE = struct.Struct(">LL")


@dataclass(frozen=True)
class Terminal:
    """Its kind, ``xterm-256color``, and its size in characters."""

    term: str
    rows: int
    columns: int

    @classmethod
    def read(cls, data: bytes) -> Terminal:
        """The terminal of a request for one; its modes are left alone."""
        name, rest = getNS(data)
        text = name.decode("ascii", "replace")
        return cls(text if KIND.fullmatch(text) else "dumb", 24, 80).resized(rest)

    def resized(self, data: bytes) -> Terminal:
        """The same with the size that begins `data`; 0 means that nothing is said."""
        if len(data) < SIZE.size:
            return self
        columns, rows = SIZE.unpack(data[: SIZE.size])
        return replace(self, rows=min(rows, LARGEST) or self.rows, columns=min(columns, LARGEST) or self.columns)
