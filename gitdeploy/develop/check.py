"""``check [DIR]``: says before a push what the push would say of the commit, with the code that the push uses."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from buildless.description import Description
from buildless.errors import NodeError
from buildless.node.wheels import requirements
from buildless.values import python_satisfies

from ..config import Limits as ServerLimits
from ..deploy.content import Content, Examined, Faults, contradictions
from ..deploy.report import Report
from ..errors import Refused
from ..git import inspect
from ..git.inspect import MAX_PROBLEMS, Limits
from ..git.repository import Repository
from ..text import count, size
from .call import DevelopCall, DevelopSpec
from .checkout import Checkout
from .modules import missing_modules

ON_MACHINES = (
    "a push installs these on machines; on the server's own (the embedded node) they must be installed already"
)
PYTHONS = {12: (3, 11), 13: (3, 13)}
"""The Python of each Debian that a node may have."""
NODES = ("posix", "linux", "debian")  # what `os` may ask of them
NAMED = 5  # files that are named of those which are not committed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, default=Path())


async def run(call: DevelopCall) -> int:
    asked = (call.directory / call.args.directory).resolve()
    if not asked.is_dir():
        raise Refused(f"{call.args.directory} is no directory; write the one that app.yaml is in")
    report = Report(call.say)
    checkout = await Checkout.find(call.runner, call.environ, asked)
    with tempfile.TemporaryDirectory(prefix="gitdeploy-check-") as scratch:
        repository = Repository(Path(scratch) / "check.git")
        repository.create()
        tree = await checkout.tree(repository)
        report.step(f"Checking {checkout.what}")
        for note in checkout.notes:
            report.detail(f"warning: {note}")
        if checkout.uncommitted:
            report.detail(f"warning: {left_out(checkout.uncommitted)}")
        faults = await Check(call, report, repository, tree).faults()
    for fault in faults:
        report.error(fault)
    if faults:
        report.error(f"a push would be refused: {count(len(faults), 'fault')}")
        return 1
    report.step(
        "A push would not be refused for any of this; it also starts the application and asks it whether it is well"
    )
    return 0


def left_out(paths: list[str]) -> str:
    """What stands in the working tree and is no part of a push."""
    first = ", ".join(inspect.printable(path.encode("utf-8", "surrogateescape")) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return f"{count(len(paths), 'uncommitted change')} would not be part of the push: {first}{more}; commit what belongs to it"


def foreign(description: Description) -> Iterator[str]:
    """What no node has by itself, as far as that is known here."""
    wanted = description.python
    if wanted and not any(python_satisfies(wanted, version) for version in PYTHONS.values()):
        have = " and ".join(f"Debian {debian} {major}.{minor}" for debian, (major, minor) in PYTHONS.items())
        yield f"{description.lines['python']}: python: nodes refuse {wanted} as long as they have their own: {have}"
    if others := [name for name in description.os if name not in NODES]:
        yield f"{description.lines['os']}: os: nodes refuse {', '.join(others)}: they are {', '.join(NODES)}"


@dataclass(frozen=True)
class Check:
    """The check of one tree, whose objects `repository` finds, with the limits of a server that sets none."""

    call: DevelopCall
    report: Report
    repository: Repository
    oid: str

    async def faults(self) -> list[str]:
        """Everything that a push would be refused for, as it would be said."""
        limits = ServerLimits()
        content = Content(self.repository, self.oid, Limits(limits.files, limits.unpacked))
        description, faults = None, list[str]()
        try:
            description = content.describe()
        except Faults as error:
            faults += error.faults
        examined = await content.examine(self.call.runner, {}, limits.step)
        found = examined.found
        faults += inspect.lines(found.problems, MAX_PROBLEMS)
        self.report.step(f"Checked {count(found.files, 'file')}, {size(found.size)}")
        if description is not None:
            for warning in description.warnings:
                self.report.detail(f"warning: {warning}")
            if description.deb:
                self.report.detail(f"warning: app.yaml:{description.lines['deb']}: deb: {ON_MACHINES}")
            for warning in foreign(description):
                self.report.detail(f"warning: app.yaml:{warning}")
            if not found.problems:
                faults += self.references(description, examined)
        return faults

    def references(self, description: Description, examined: Examined) -> list[str]:
        """What app.yaml names that is not there, or not as it must be."""
        faults = contradictions(description, examined)
        for name in description.pip:
            if name.endswith(".txt"):
                try:
                    requirements(self.reader(examined), name)
                except NodeError as error:
                    faults.append(f"app.yaml:{description.lines['pip']}: {error}")
        for missing in missing_modules(description, examined.tree):
            if missing.certain:
                faults.append(missing.text)
            else:
                self.report.detail(f"warning: {missing.text}")
        return faults

    def reader(self, examined: Examined) -> Callable[[str], bytes]:
        def read(path: str) -> bytes:
            if path not in examined.tree.files:
                raise FileNotFoundError("there is no such file in the tree")
            return self.repository.blob(examined.tree.files[path])

        return read


SPEC = DevelopSpec("check", "say before a push what the push would say of the commit", arguments, run)
