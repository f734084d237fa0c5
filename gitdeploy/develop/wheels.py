"""pip, as `vendor` uses it: wheels that are pure Python, fetched into one directory and unpacked into another."""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CommandFailed, Refused
from ..runner import Command, Runner
from .vendored import Installed, Pin, installed, normal

LIMIT = 600.0  # seconds that pip may take
HOW = ("--quiet", "--no-input", "--disable-pip-version-check")
PURE = ("--platform", "any", "--implementation", "py", "--abi", "none")
COMPILED = re.compile(r"\.(so|pyd|dylib|dll|a|o)(\.[0-9.]+)?$")
ANYWHERE = re.compile(r"-py[py0-9.]*-none-any\.whl$")
IRREGULAR = {"pyyaml": "yaml", "pillow": "pil", "psycopg2-binary": "psycopg2", "opencv-python": "opencv"}
"""Packages whose names in Debian cannot be guessed from their own."""


@dataclass(frozen=True)
class Wheel:
    """A wheel that was fetched."""

    path: Path

    @functools.cached_property
    def pin(self) -> Pin:
        name, version = self.path.name.split("-")[:2]
        return Pin(normal(name), version, (hashlib.sha256(self.path.read_bytes()).hexdigest(),))

    @functools.cached_property
    def compiled(self) -> bool:
        """Whether it is for one kind of machine only: by its name, or by a file in it."""
        with zipfile.ZipFile(self.path) as archive:
            return not ANYWHERE.search(self.path.name) or any(map(COMPILED.search, archive.namelist()))


@dataclass(frozen=True)
class Pip:
    """The pip of the Python that runs this."""

    runner: Runner
    environ: Mapping[str, str]

    async def __call__(self, *words: str, cwd: Path) -> None:
        argv = (sys.executable, "-m", "pip", words[0], *HOW, *words[1:])
        environ = {**self.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
        if "--no-index" in words:  # nor any other place that the person's settings name
            environ = {name: value for name, value in self.environ.items() if not name.startswith("PIP_")}
            environ["PIP_CONFIG_FILE"] = os.devnull
        try:
            await self.runner.run(Command(argv, environ, str(cwd)), timeout=LIMIT)
        except CommandFailed as error:
            raise Refused(*reason(error)) from error

    async def fetch(self, into: Path, *wanted: str) -> list[Wheel]:
        """Wheels for what is `wanted` and what that needs; a pure one in the place of a compiled one where there is one."""
        await self("download", "--only-binary", ":all:", "--dest", str(into), "--", *wanted, cwd=into)
        for wheel in [Wheel(path) for path in into.glob("*.whl")]:
            if wheel.compiled:
                pure = into / "pure"
                pure.mkdir(exist_ok=True)
                try:
                    only = ("--no-deps", "--only-binary", ":all:", *PURE, "--dest", str(pure))
                    await self("download", *only, str(wheel.pin), cwd=into)
                except Refused:
                    continue
                wheel.path.unlink()
        for path in into.glob("pure/*.whl"):
            path.replace(into / path.name)
        return [Wheel(path) for path in sorted(into.glob("*.whl"))]

    async def fetch_again(self, into: Path, requirements: str) -> list[Wheel]:
        """The very wheels that a file of requirements with hashes names."""
        (into / "again.txt").write_text(requirements, encoding="utf-8")
        how = ("--no-deps", "--require-hashes", "--only-binary", ":all:", *PURE, "--dest", str(into))
        await self("download", *how, "-r", "again.txt", cwd=into)
        return [Wheel(path) for path in sorted(into.glob("*.whl"))]

    async def unpack(self, wheels: Sequence[Wheel], into: Path) -> list[Installed]:
        """Install wheels of one directory into another; programs and compiled modules are left out."""
        into.mkdir()
        source = wheels[0].path.parent
        how = ("--no-deps", "--no-compile", "--no-index", "--find-links", str(source), "--target", str(into))
        (source / "these.txt").write_text("".join(wheel.pin.lines() for wheel in wheels), encoding="utf-8")
        await self("install", *how, "--require-hashes", "-r", "these.txt", cwd=source)
        shutil.rmtree(into / "bin", ignore_errors=True)
        for directory in list(into.rglob("__pycache__")):
            shutil.rmtree(directory)
        found = list(installed(into))
        for one in found:
            tidy(one)
        return found

    async def debian(self, name: str) -> str | None:
        """The Debian package of Python 3 that has a package, if apt or dpkg knows one."""
        for guess in debian_names(name):
            for argv in (
                ("apt-cache", "pkgnames", guess),
                ("dpkg-query", "--show", "--showformat=${Package}\n", guess),
            ):
                out = await self.runner.run(Command(argv, self.environ), timeout=60, check=False)
                if guess in out.decode("utf-8", "replace").split():
                    return guess
        return None


def debian_names(name: str) -> list[str]:
    """What Debian may call the package for Python 3 that has a package."""
    return [f"python3-{one}" for one in dict.fromkeys((IRREGULAR.get(name, name), name.removeprefix("python-")))]


def tidy(one: Installed) -> None:
    """Take out of RECORD what is not there, and what says on which machine it was fetched."""
    (one.info / "direct_url.json").unlink(missing_ok=True)
    record = one.info / "RECORD"
    with record.open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.reader(file) if row and (one.top / row[0]).is_file() and ".." not in row[0].split("/")
        ]
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(rows))


def reason(error: CommandFailed) -> tuple[str, ...]:
    """What pip says that went wrong, in a line with what to do, and all that it wrote."""
    lines = [line for line in error.details[1:] if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if any("No module named pip" in line for line in lines):
        return ("pip is not there; install it: python3 -m ensurepip, or apt-get install python3-pip",)
    if any("No matching distribution" in line for line in errors):
        return (f"pip: {errors[-1]}; there may be no wheel of it: name its Debian package under deb:", *lines)
    said = (errors or lines or [str(error)])[-1]
    return (f"pip: {said}; see above, correct what is asked for, and try again", *lines)
