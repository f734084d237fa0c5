"""The reason for a refusal reaches the ``! [remote rejected]`` line of the pusher: git's own report has no room for it.

``git receive-pack`` can only write ``ng REF pre-receive hook declined``. `ReportFilter` stands between it and the client, looks at
its pkt-lines (gitprotocol-common(5), gitprotocol-pack(5)) and changes these words, and no other byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

REPORT, PROGRESS, FATAL = 1, 2, 3  # the bands of side-band-64k
FLUSH = b"0000"
MAX_BAND = 65515  # bytes of data in a side-band-64k packet: 65520 without the length and the band
MAX_REASON = 200
MAX_ASKED = 1 << 16  # bytes before what a client asks for: a packet, or 1,200 boundaries of a shallow clone
MAX_LINE = 1000  # bytes of a progress line that are remembered

DECLINED = b"pre-receive hook declined"
UNPACKER = b"unpacker error"
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")


class _Phase(Enum):
    ADVERTISEMENT = auto()  # up to its flush-pkt; the client sends its commands after it
    ANSWER = auto()  # packets on bands, up to and with the report
    VERBATIM = auto()  # the report is through, or this is nothing that we understand: hands off


class ReportFilter:
    """All that a ``git receive-pack`` writes to its client goes through `feed`, and then `close`; `refuse` may come in between.

    Nothing is held back but packets that are not whole yet, and the report (band 1) until its end: in it ``pre-receive hook
    declined`` becomes the reason given to `refuse`, and ``unpacker error`` what git said of it on band 2. What does not parse,
    and the report to a client without side-band-64k, passes as it is. Protocol versions 0 and 1 (receive-pack has no 2).
    """

    def __init__(self) -> None:
        self._phase = _Phase.ADVERTISEMENT
        self._data = bytearray()  # not a whole packet yet
        self._held = bytearray()  # the packets of the report so far
        self._report = bytearray()  # what is in them
        self._line = b""  # the unfinished line on band 2
        self._said: dict[bytes, str] = {}  # the last "fatal" and "error" line on band 2
        self._reason = ""

    def refuse(self, reason: str) -> None:
        """Let the report give this reason, made one line of at most `MAX_REASON` bytes, where it says that the hook declined."""
        self._reason = one_line(reason)

    def feed(self, data: bytes) -> bytes:
        """Take what git wrote, return what the client shall get now."""
        if self._is_over():
            return data
        self._data += data
        out = bytearray()
        start = 0
        while not self._is_over() and (end := self._packet_end(start)) is not None:
            packet = bytes(self._data[start:end])
            start = end
            out += self._advertisement(packet) if self._phase is _Phase.ADVERTISEMENT else self._answer(packet)
        del self._data[:start]
        return bytes(out + self.close()) if self._is_over() else bytes(out)

    def close(self) -> bytes:
        """git ended, or what it writes is no longer ours to read: everything that is still held, as it came."""
        rest = bytes(self._held + self._data)
        self._phase = _Phase.VERBATIM
        self._held.clear()
        self._data.clear()
        return rest

    def _is_over(self) -> bool:
        return self._phase is _Phase.VERBATIM

    def _packet_end(self, start: int) -> int | None:
        """Where the packet at `start` ends; None while it is not whole. What is no packet ends the filter's work."""
        head = bytes(self._data[start : start + 4])
        if len(head) < 4:
            return None
        length = int(head, 16) if _LENGTH.fullmatch(head) else 1
        if 0 < length < 4:
            self._phase = _Phase.VERBATIM
            return None
        end = start + max(length, 4)
        return end if end <= len(self._data) else None

    def _advertisement(self, packet: bytes) -> bytes:
        if packet == FLUSH:
            self._phase = _Phase.ANSWER
        return packet

    def _answer(self, packet: bytes) -> bytes:
        band = packet[4] if len(packet) > 4 else 0
        if band == PROGRESS:
            self._listen(packet[5:])
            return packet
        if band == REPORT:
            if len(packet) == 5:
                return packet  # an empty one keeps the connection alive while the hook works
            self._held += packet
            self._report += packet[5:]
            return self._finish_report()
        self._phase = _Phase.VERBATIM  # band 3, the end, or no band at all
        self._held += packet
        return b""  # feed ends with what is held

    def _finish_report(self) -> bytes:
        """The report's packets once it is complete, which its own flush-pkt says; nothing before that."""
        lines = list(packets(bytes(self._report)))
        if not lines or lines[-1] != FLUSH:
            return b""
        self._phase = _Phase.VERBATIM
        self._listen(b"\n")
        after = self._report[sum(map(len, lines)) :]
        report = b"".join(map(self._explain, lines)) + after
        if report == self._report:
            return b""  # feed ends with what is held
        self._held.clear()
        return b"".join(pkt(bytes([REPORT]) + report[at : at + MAX_BAND]) for at in range(0, len(report), MAX_BAND))

    def _explain(self, line: bytes) -> bytes:
        """One pkt-line of the report, with the reason in it if it is a refusal that we know more about."""
        result, _, rest = line[4:].removesuffix(b"\n").partition(b" ")
        ref, _, words = rest.partition(b" ")
        reason = {DECLINED: self._reason, UNPACKER: self._unpacker()}.get(words)
        return pkt(b"ng %b %b\n" % (ref, reason.encode())) if result == b"ng" and reason else line

    def _listen(self, data: bytes) -> None:
        """Remember what git says is wrong: fsck writes an error, which says what, then a fatal, which says that it was fsck."""
        *lines, rest = re.split(rb"[\r\n]", self._line + data)
        self._line = rest[:MAX_LINE]
        for line in lines:
            kind, colon, text = line.partition(b": ")
            if colon and kind in (b"fatal", b"error"):
                self._said[kind] = text[:MAX_LINE].decode("utf-8", "replace")

    def _unpacker(self) -> str:
        return one_line(": ".join(self._said[kind] for kind in (b"fatal", b"error") if kind in self._said))


def pkt(payload: bytes) -> bytes:
    """`payload` as one pkt-line."""
    return b"%04x%b" % (len(payload) + 4, payload)


def packets(data: bytes) -> Iterator[bytes]:
    """The whole pkt-lines at the start of `data`, with their lengths, up to the first flush-pkt or what is no pkt-line."""
    start = 0
    while _LENGTH.match(data, start):
        length = int(data[start : start + 4], 16)
        end = start + max(length, 4)
        if 0 < length < 4 or end > len(data):
            return
        yield data[start:end]
        if not length:
            return
        start = end


def capabilities(data: bytes) -> frozenset[bytes] | None:
    """What a client asks for in front of its commands, behind the NUL of the first (gitprotocol-pack(5)), such as ``quiet``.

    `data` is all that it has sent so far; None while that is not enough to say.
    """
    for packet in packets(data):
        if b"\0" in packet or packet == FLUSH:
            return frozenset(packet.partition(b"\0")[2].split())
    return None if len(data) < MAX_ASKED else frozenset()


def one_line(reason: str, most: int = MAX_REASON) -> str:
    """`reason` in one line that prints, of at most so many bytes of UTF-8: white space is one space, a cut ends in an ellipsis."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(reason.split()))
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - 3].decode("utf-8", "ignore").rstrip() + "\N{HORIZONTAL ELLIPSIS}"
