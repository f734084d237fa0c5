"""When a verb has become a program that somebody talks to: its input comes in frames, its output is bytes as they are.

The server sends no frame before it has the answer to the verb, so that none of them can be taken for a part of the request. Frames
say apart what a pipe cannot: that the input has ended, and that whoever sent it is gone, which is the end of the frames.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Callable, Iterator, Tuple

DATA, END, SIZE = b"D", b"E", b"S"
HEAD = struct.Struct(">cI")  # what it is, and the length of what follows
ROWS_AND_COLUMNS = struct.Struct(">HH")
MOST = 1 << 20  # bytes of a frame
LATE = 124  # the exit status of what took too long, as timeout(1) has it


@dataclass(frozen=True)
class Stream:
    """What a verb answers that becomes a stream: `run` does all of it, and returns the exit status of this process."""

    run: Callable[[], int]


def frame(kind: bytes, data: bytes = b"") -> bytes:
    """A frame as it is sent.

    >>> frame(DATA, b"plums")
    b'D\\x00\\x00\\x00\\x05plums'
    """
    return HEAD.pack(kind, len(data)) + data


def frames(descriptor: int) -> Iterator[Tuple[bytes, bytes]]:
    """The frames that come, until whoever sends them is gone."""
    while True:
        head = read(descriptor, HEAD.size)
        if len(head) < HEAD.size:
            return
        kind, length = HEAD.unpack(head)
        data = read(descriptor, min(length, MOST))
        if len(data) < length:
            return
        yield kind, data


def read(descriptor: int, length: int) -> bytes:
    """So many bytes, or fewer at the end."""
    found = b""
    while len(found) < length:
        data = os.read(descriptor, length - len(found))
        if not data:
            break
        found += data
    return found
