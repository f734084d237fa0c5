"""One GET to nginx on this machine. HTTP/1.0 has no pieces and no next request: what comes until the end is the body.

http.client brings all of email and ssl with it, whose import takes longer than what a node does for a rollback.
"""

from __future__ import annotations

import socket
import time
from typing import Mapping, Tuple

HEAD = 65_536  # bytes of status and fields


def get(
    connection: socket.socket, path: str, fields: Mapping[str, str], most: int, timeout: float
) -> Tuple[int, bytes]:
    """The status and the first `most` bytes of the body. Raises OSError, and socket.timeout after so many seconds in all."""
    deadline = time.monotonic() + timeout
    if not path.isprintable() or " " in path:
        raise OSError(f"{path!r} is no path of a URL")
    lines = [f"GET {path} HTTP/1.0", *(f"{name}: {value}" for name, value in fields.items())]
    connection.settimeout(timeout)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if len(body) >= most or len(head) > HEAD:
            break
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(65_536)
        if not piece:
            break
        data += piece
    words = head.split(None, 2)
    if not end or not words[0].startswith(b"HTTP/1.") or not words[1:2] or not words[1].isdigit():
        raise OSError(f"what came is no HTTP: {head[:60]!r}" if head else "the connection was closed")
    return int(words[1]), body[:most]
