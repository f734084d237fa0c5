"""Where a command's lines go, and one line that changes in place while something is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

OFTEN = 5.0  # seconds between two lines about the same, where nothing can change in place


class Terminal:
    """`out` gets what was asked for, `err` what goes wrong and what is waited for; `clock` says the seconds."""

    def __init__(self, out: TextIO, err: TextIO, clock: Callable[[], float]) -> None:
        self.out, self.err, self.clock = out, err, clock
        self.in_place = err.isatty()
        self.shown = ""
        self.since = self.last = clock()

    def say(self, line: str) -> None:
        """A line that stays."""
        self.clear()
        print(line, file=self.out, flush=True)

    def warn(self, line: str) -> None:
        """A line about what went wrong."""
        self.clear()
        print(line, file=self.err, flush=True)

    def show(self, text: str) -> None:
        """What is waited for: in place on a terminal, with the seconds; else a line when it changes, and now and then."""
        now = self.clock()
        changed = text != self.shown
        if changed:
            self.since = now
        if self.in_place:
            self._write(f"\r\x1b[K{text} ({now - self.since:.0f} s)")
        elif changed or now - self.last >= OFTEN:
            self._write(f"{text}\n" if changed else f"{text} ({now - self.since:.0f} s)\n")
            self.last = now
        self.shown = text

    def glance(self, text: str) -> None:
        """What is waited for in passing: for who sits there, and for no log."""
        if self.in_place:
            self.show(text)

    def clear(self) -> None:
        """Nothing is waited for any more."""
        if self.in_place and self.shown:
            self._write("\r\x1b[K")
        self.shown = ""

    def _write(self, text: str) -> None:
        self.err.write(text)
        self.err.flush()
