"""``vendor PACKAGE...``: puts pure-Python wheels into the tree, and records what it did so that it can be done again."""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from buildless.description import Description
from buildless.errors import BuildlessError
from buildless.package import AppPackage

from ..errors import BadName, Refused
from ..names import quoted
from ..text import count
from . import vendored
from .call import DevelopCall, DevelopSpec
from .vendored import FILENAME, Installed, Pin, installed, normal
from .wheels import Pip, Wheel, debian_names

INTO = Path("lib/python")
WANTED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._, -]+\])? *([=!~<>]=?[^/:@;]*)?")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", metavar="PACKAGE", nargs="*", default=[])
    parser.add_argument("--into", metavar="DIR", type=Path, default=INTO)


async def run(call: DevelopCall) -> int:
    into = call.directory / call.args.into
    for package in call.args.packages:
        if not WANTED.fullmatch(package):
            raise BadName(f"{quoted(package)} is no package; write a name, or one with a version such as 'six>=1.16'")
    before = vendored.read(into)
    if not call.args.packages and not before:
        raise Refused(f"{call.args.into / FILENAME} names no package to fetch again; write: gitdeploy vendor PACKAGE")
    with tempfile.TemporaryDirectory(prefix="gitdeploy-vendor-") as scratch:
        vendor = Vendor(call, into, Path(scratch))
        if call.args.packages:
            await vendor.add(call.args.packages, before)
        else:
            await vendor.restore(before)
    return 0


class Vendor:
    """Works on the directory `into`; `scratch` is gone afterwards."""

    def __init__(self, call: DevelopCall, into: Path, scratch: Path) -> None:
        self.call, self.into, self.scratch = call, into, scratch
        self.pip = Pip(call.runner, call.environ)
        self.fetched = scratch / "wheels"
        self.fetched.mkdir()

    async def add(self, packages: Sequence[str], before: dict[str, Pin]) -> None:
        """Fetch `packages` with what they need; what else is recorded stays as it is if it can."""
        asked = {normal(re.split(r"[\[ =!~<>]", package)[0]) for package in packages}
        kept = [pin for name, pin in before.items() if name not in asked]
        wheels = await self.fetch(*packages)
        if kept:
            chosen = [str(wheel.pin) for wheel in wheels if wheel.pin.name in asked]
            try:
                wheels = await self.fetch(*packages, *chosen, *map(str, kept))
            except Refused:
                wheels = await self.fetch(*packages, *chosen, *(pin.name for pin in kept))
        pure = [wheel for wheel in wheels if not wheel.compiled]
        for note in await self.left_out([wheel for wheel in wheels if wheel.compiled], asked):
            self.call.say(note)
        fresh = [wheel for wheel in pure if wheel.pin != before.get(wheel.pin.name) or not self.whole(wheel.pin)]
        pins = {**before, **{wheel.pin.name: wheel.pin for wheel in pure}}
        await self.put(fresh, pins)
        for wheel in fresh:
            old = before.get(wheel.pin.name)
            instead = f" instead of {old.version}" if old and old.version != wheel.pin.version else ""
            self.call.say(f"{wheel.pin.name} {wheel.pin.version}{instead}")
        self.call.say(f"{self.call.args.into} has {count(len(pins), 'package')}, as {FILENAME} says; commit it")
        self.advise([wheel.pin.name for wheel in pure])

    async def fetch(self, *wanted: str) -> list[Wheel]:
        """Wheels for what is `wanted`, and nothing that was fetched before."""
        shutil.rmtree(self.fetched)
        self.fetched.mkdir()
        return await self.pip.fetch(self.fetched, *wanted)

    async def restore(self, pins: dict[str, Pin]) -> None:
        """Fetch again what is not there as it was."""
        lacking = [pin for pin in pins.values() if not self.whole(pin)]
        if lacking:
            wheels = await self.pip.fetch_again(self.fetched, "".join(pin.lines() for pin in lacking))
            await self.put(wheels, pins)
        for pin in lacking:
            self.call.say(f"{pin.name} {pin.version}")
        self.call.say(f"{self.call.args.into} has {count(len(pins), 'package')}, as {FILENAME} says")
        self.advise(list(pins))

    def whole(self, pin: Pin) -> bool:
        return any(one.name == pin.name and one.version == pin.version and one.whole() for one in installed(self.into))

    async def left_out(self, compiled: Sequence[Wheel], asked: set[str]) -> list[str]:
        """What to do about wheels that are not pure. Raises Refused if one was asked for, or Debian has none that is needed."""
        notes, refused = list[str](), list[str]()
        for pin in (wheel.pin for wheel in compiled):
            debian = await self.pip.debian(pin.name)
            if debian is None:
                text = f"{pin.name} {pin.version} is compiled, and Debian has no python3-{pin.name} that apt or dpkg here knows"
                refused.append(f"{text}; look for its package (apt-cache search {pin.name}) and name it under deb:")
            else:
                text = f"{pin.name} {pin.version} is compiled and left out; {self.to_name(debian)}"
                (refused if pin.name in asked else notes).append(text)
        if refused:
            raise Refused(f"{refused[0]}; nothing was changed", *refused[1:])
        return notes

    async def put(self, wheels: Sequence[Wheel], pins: dict[str, Pin]) -> None:
        """Replace packages by those in `wheels`, and record `pins`. Nothing changes unless all of it can."""
        new = await self.pip.unpack(wheels, self.scratch / "new") if wheels else []
        names = {one.name for one in new}
        old = [one for one in installed(self.into) if one.name in names]
        self.check_clashes(new, old)
        self.into.mkdir(parents=True, exist_ok=True)
        vendored.write(self.into, pins.values())
        for one in old:
            one.remove()
        for one in new:
            for path in one.paths():
                (self.into / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.top / path, self.into / path)

    def check_clashes(self, new: Sequence[Installed], old: Sequence[Installed]) -> None:
        """Raises Refused for a file that is there and is no package's that is replaced: somebody wrote it."""
        replaced = {path for one in old for path in one.paths()}
        for one in new:
            for path in one.paths():
                there = self.into / path
                if path in replaced or not there.exists():
                    continue
                if there.is_dir() or there.read_bytes() != (one.top / path).read_bytes():
                    raise Refused(
                        f"{self.call.args.into / path} is there and not {one.name}'s; nothing was changed: move it away, or"
                        " choose another directory: --into DIR"
                    )

    @functools.cached_property
    def description(self) -> Description | None:
        """What app.yaml says; None where there is none, or one with mistakes."""
        try:
            return AppPackage(self.call.directory).description
        except BuildlessError:
            return None

    def to_name(self, debian: str) -> str:
        """How app.yaml names a Debian package."""
        named = self.description.deb if self.description else ()
        if debian in named:
            return f"app.yaml names {debian} in deb already"
        return f"add {debian} to deb in app.yaml" if named else f"write into app.yaml: `deb: {debian}`"

    def advise(self, names: Sequence[str]) -> None:
        """Say so if the application would not find what was put there, and if Debian's packages of the same are named, too."""
        if self.description is None:
            return
        paths, into = self.description.paths, str(self.call.args.into)
        if into not in paths:
            self.call.say(f"app.yaml does not name it; write `paths: {', '.join([*paths, into])}`")
        for debian in (one for name in names for one in debian_names(name) if one in self.description.deb):
            self.call.say(f"app.yaml names {debian} in deb, too; take it out there, as it is in the tree now")


SPEC = DevelopSpec("vendor", "put libraries of pure Python into the tree, and record which", arguments, run)
