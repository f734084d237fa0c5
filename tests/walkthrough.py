"""Documents that are walked through: the commands in them, what they are to show, and the files that they have one write."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """`shown` is what the document shows of its output, ``...`` for anything."""

    line: str
    shown: tuple[str, ...] = ()

    def missing(self, output: str) -> list[str]:
        """The lines that are shown, and are not in its output."""
        return [line for line in self.shown if not re.search(self.pattern(line), output, re.MULTILINE)]

    @staticmethod
    def pattern(line: str) -> str:
        return r"^\s*" + ".*".join(re.escape(part.strip(" ")) if part else "" for part in line.strip().split("..."))


@dataclass(frozen=True)
class File:
    """A file that is written, or, with `more`, gets something at its end."""

    path: str
    text: str
    more: bool = False


BLOCK = re.compile(r"^(?P<before>\S[^\n]*(?:\n\S[^\n]*)*::|::)\n\n(?P<text>(?:    [^\n]*\n|\n)+)", re.MULTILINE)


def section(text: str, title: str) -> str:
    """What stands below a title, up to the next one."""
    below = re.split(rf"^{re.escape(title)}\n-+\n", text, flags=re.MULTILINE)
    assert len(below) == 2, f"there is no section {title!r}"
    return re.split(r"^[^\n]+\n-{3,}\n", below[1], flags=re.MULTILINE)[0]


def steps(text: str) -> list[Command | File]:
    """All of them, in order. A block that begins with ``$`` are commands; one after a paragraph that ends with a path is a file."""
    found: list[Command | File] = []
    for block in BLOCK.finditer(text):
        content = textwrap.dedent(block["text"]).strip("\n") + "\n"
        if content.startswith("$ "):
            for one in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                line, *shown = one.splitlines()
                found.append(Command(line, tuple(shown)))
        elif named := re.search(r"``([\w./-]+)``::\s*$", block["before"]):
            found.append(File(named[1], content, "at the end of" in re.sub(r"\s+", " ", block["before"])))
    return found
