"""Text for people: bytes and numbers as people say them, and nothing that a terminal would obey."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from html import unescape

CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor (ECMA-48 5.4)
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)"  # OSC, DCS, SOS, PM, APC strings
    r"|\x1b[@-_]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)

UNSEEN = re.compile(r"<(style|script)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE)
BLOCK = re.compile(r"</?(?:br|p|div|h[1-6]|li|tr|title|pre|head|body)\b[^>]*(?:>|\Z)", re.IGNORECASE)
TAG = re.compile(r"<[/!a-z][^>]*(?:>|\Z)", re.IGNORECASE)


def plain(text: str) -> str:
    """`text` without control sequences; tabs stay, a carriage return is a new line."""
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def readable(body: str) -> list[str]:
    """The lines of an answer that say something; of an HTML page its words. What is cut off in the middle is fine."""
    if body.lstrip()[:1] != "<":
        return body.splitlines()
    lines = [
        " ".join(line.split()) for line in unescape(TAG.sub("", BLOCK.sub("\n", UNSEEN.sub("", body)))).splitlines()
    ]
    return list(dict.fromkeys(line for line in lines if line))


def size(count: int) -> str:
    """Bytes for people: ``48.1 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def count(number: int, noun: str) -> str:
    """``1 file``, ``6,012 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def whole(text: str) -> int:
    """A whole number that somebody typed. Raises argparse.ArgumentTypeError."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!a} is no whole number; write such as 20") from None


def seconds(text: str) -> float:
    """A time that somebody typed. Raises argparse.ArgumentTypeError."""
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!a} is no number of seconds; write such as 90") from None
