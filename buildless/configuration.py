"""What app.yaml says of an application's configuration: a directory of files that belongs to an environment and not to the tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from buildless.lifecycle import CommandLine


@dataclass(frozen=True)
class Configuration:
    """`default` is the directory of the tree that counts where an environment has none of its own, `template` the one to begin
    with; without either, a `required` one must be there. `checker` is a command that looks at it, before anything else runs.
    """

    required: bool = False
    default: Optional[str] = None
    template: Optional[str] = None
    checker: CommandLine = ()

    def place(self, own: Optional[str], tree: str) -> Optional[str]:
        """Where it is: the environment's own directory, else the default of the tree.

        >>> Configuration(default="conf").place(None, "/srv/tree"), Configuration(default="conf").place("/srv/own", "/srv/tree")
        ('/srv/tree/conf', '/srv/own')
        """
        return own or (f"{tree}/{self.default}" if self.default else None)
