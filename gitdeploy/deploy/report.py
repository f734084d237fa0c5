"""What the pusher sees, in the field's own format: ``-----> `` a step, seven spaces a detail, `` !     `` an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..text import plain

MASKED = 8
"""Characters of a value from which on it is not shown."""


class Report:
    """Writes for one deploy. `sink` gets what goes to the pusher, `keep` every finished line."""

    def __init__(self, keep: Callable[[str], None]) -> None:
        self.sink: Callable[[bytes], None] = lambda data: None
        self.keep = keep
        self.quiet = False  # no progress is shown
        self.masked: dict[str, str] = {}

    def mask(self, variables: Mapping[str, str]) -> None:
        """From now on, show the name of a variable in place of its value; one that is short may mean something else.

        What is written comes by lines, so the lines of a value that has several are not shown either.
        """
        pieces = [(piece, name) for name, text in variables.items() for piece in {text, *text.splitlines()}]
        found = {piece: name for piece, name in pieces if len(piece) >= MASKED}
        self.masked = dict(sorted(found.items(), key=lambda item: len(item[0]), reverse=True))

    def hide(self, text: str) -> str:
        """`text` with names in place of the values that are masked."""
        for value, name in self.masked.items():
            text = text.replace(value, f"[{name}]")
        return text

    def line(self, text: str) -> None:
        self.keep(self.hide(plain(text)))
        self.show(text)

    def show(self, text: str) -> None:
        """A line for the pusher that is kept already."""
        self.sink(self.hide(plain(text)).encode() + b"\n")

    def step(self, text: str) -> None:
        self.line(f"-----> {text}")

    def detail(self, text: str) -> None:
        for row in plain(text).split("\n"):
            self.line(f"       {row}")

    def error(self, text: str, details: Iterable[str] = ()) -> None:
        for detail in details:
            self.detail(detail)
        for row in plain(text).split("\n"):
            self.line(f" !     {row}")

    def note(self, text: str) -> None:
        """A detail that the pusher does not see; it is kept all the same."""
        for row in plain(text).split("\n"):
            self.keep(self.hide(f"       {row}"))

    def progress(self, text: str) -> None:
        """Show `text` in place of the progress before it; it is not kept. (git clears the line after a carriage return.)"""
        if not self.quiet:
            self.sink(f"       {plain(text)}\r".encode())


class Progress:
    """What several nodes say of their transfers, in one place: ``web1 40% of the files ..., web2 35% ...``."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.rows: dict[str, str] = {}

    def of(self, name: str) -> Callable[[str], None]:
        """What shows the progress of the node called `name`."""

        def show(text: str) -> None:
            self.rows[name] = text
            rows = self.rows.items()
            self.report.progress(text if len(rows) == 1 else ", ".join(f"{one} {row.split()[0]}" for one, row in rows))

        return show
