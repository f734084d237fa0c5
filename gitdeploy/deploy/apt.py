"""What a push shows of an installation of Debian packages: that it goes on, and apt's own words only where it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import GitdeployError
from ..text import count
from .report import Report

NAMED = 6  # packages that are named before the rest is counted
LONG = 10  # packages from which on each phase is a line, for whoever sees no progress in place
NEW = "The following NEW packages will be installed:"
TOTAL = re.compile(r"(\d+) upgraded, (\d+) newly installed, ")
NEEDED = re.compile(r"Need to get ([\d.,]+ k?M?G?B)(?:/.*)? of archives")
FETCHING = re.compile(r"Get:(\d+) \S+ \S+ \S+ ([a-z0-9]\S*) ")
LISTS = re.compile(r"(?:Get|Hit|Ign|Err):\d+ ")
DONE = re.compile(r"(Unpacking|Setting up) (\S+) ")
WAITING = re.compile(r"Waiting for |E: (?:Could not get lock|Unable to lock)")


class Installation:
    """Understands what apt-get and dpkg write. `say` gets the few lines that stay, `progress` what is shown in place."""

    def __init__(self, say: Callable[[str], None], progress: Callable[[str], None]) -> None:
        self.say, self.progress = say, progress
        self.listing = False  # the next lines name what is installed
        self.names: list[str] = []
        self.total = 0  # packages, as soon as apt has counted them
        self.done = {"Unpacking": 0, "Setting up": 0}
        self.said: set[str] = set()

    def hear(self, line: str) -> None:
        if self.listing and line.startswith(" "):
            self.names += line.split()
            return
        self.listing = line.startswith(NEW)
        if self.listing:
            self.names = []  # another service may have been installed before
        elif found := TOTAL.match(line):
            self.total = int(found[1]) + int(found[2])
            self.done = dict.fromkeys(self.done, 0)
            self.said -= {"begin", *self.done}
        elif found := NEEDED.match(line):
            self.once("begin", f"installing {self.what()}" + (f"; {found[1]} to fetch" if found[1] != "0 B" else ""))
        elif found := DONE.match(line):
            self.worked(found[1], found[2])
        elif self.total and (found := FETCHING.match(line)):
            self.progress(f"{found[1]}/{self.total} fetching {found[2]}")
        elif not self.total and LISTS.match(line):
            self.once("lists", "fetching the lists of Debian packages")
        elif WAITING.match(line):
            self.once("wait", line)

    def worked(self, phase: str, package: str) -> None:
        """dpkg says that it begins with a package; without apt it may be in the middle of what was broken off."""
        if self.total:
            self.once("begin", f"installing {self.what()}")
        self.done[phase] += 1
        if self.total >= LONG:
            self.once(phase, "unpacking them" if phase == "Unpacking" else "setting them up")
        number = f"{self.done[phase]}/{self.total}" if self.total else str(self.done[phase])
        self.progress(f"{number} {phase.lower()} {package}")

    def once(self, key: str, text: str) -> None:
        if key not in self.said:
            self.said.add(key)
            self.say(text)

    def what(self) -> str:
        """``3 Debian packages: a b c``."""
        more = len(self.names) - NAMED
        names = " ".join(self.names[:NAMED]) + (f" and {more} more" if more > 0 else "")
        return count(self.total, "Debian package") + (f": {names}" if names else "")


@contextmanager
def followed(
    report: Report, node: str, say: Callable[[str], None], progress: Callable[[str], None]
) -> Iterator[Callable[[str], None]]:
    """What listens to apt on the node of that name. All of its lines are kept with the deploy; they are shown if it fails.

    `say` gets the lines that are to be seen in any case, without the node's name, `progress` what is shown in place.
    """
    installation, written = Installation(say, progress), list[str]()

    def hear(line: str) -> None:
        written.append(line)
        report.note(f"{node}: {line}")
        installation.hear(line)

    try:
        yield hear
    except GitdeployError:
        for line in written:
            report.show(f"       {node}: {line}")
        raise
