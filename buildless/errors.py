"""What buildless says no with: one base class, each message ends with what to do next."""

from __future__ import annotations


class BuildlessError(Exception):
    """The base of all errors of this package."""


class DocumentError(BuildlessError):
    """A YAML document has mistakes; `problems` has one line each: ``FILE:LINE: what is wrong, and what to write instead``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LoadError(BuildlessError):
    """An object of the application cannot be loaded; the cause is chained."""
