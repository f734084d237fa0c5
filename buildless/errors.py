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


class CommandError(BuildlessError):
    """A command of the application is none: of no form that there is, or what it names is not there."""


class NodeError(BuildlessError):
    """A request that a node cannot do; the message says why, `details` is what was written meanwhile."""

    def __init__(self, message: str, *details: str) -> None:
        super().__init__(message)
        self.details = details
