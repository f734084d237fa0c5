"""``config:put``, ``config:take``: the files of an environment's configuration, as a tar archive (see `config:` of app.yaml)."""

from __future__ import annotations

import argparse
import io
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import replace

from buildless.values import quoted, tree_path

from ...errors import BadName, NotFound
from .call import Call, CommandSpec, app
from .config import deploy_with, of

MOST = 1_000_000
"""Bytes of all files together: configuration is text that people write."""

ARCHIVE = 4_000_000
"""Bytes of an archive; tar(1) fills up to blocks."""

BROKEN = (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error)
"""What reading an archive raises that is none, or not all of one, compressed or not."""

ADVICE = "tar -C DIR -c . | ssh ... config:put APP"


def arguments(parser: argparse.ArgumentParser) -> None:
    app(parser)


def unpacked(archive: bytes) -> dict[str, bytes]:
    """The files of an archive by their paths. Raises BadName for what is no such archive, and for what is no plain file in it."""
    found: dict[str, bytes] = {}
    if not archive:
        raise BadName(f"nothing came on standard input; write: {ADVICE}")
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                name = posixpath.normpath(member.name)
                if member.isdir():
                    continue
                if not member.isreg():
                    raise BadName(f"{quoted(name)} in the archive is no plain file; leave links and devices out")
                if not name.isprintable():
                    raise BadName(f"{quoted(name)} in the archive has characters that do not print; rename it")
                file = tar.extractfile(member)
                assert file is not None
                found[tree_path(name)] = file.read(MOST + 1)
                if sum(map(len, found.values())) > MOST:
                    raise BadName(
                        f"the files have more than {MOST:,} bytes; configuration is text, data are for services"
                    )
    except BROKEN as error:  # what they say is of the modules that read archives, in several lines
        raise BadName(f"that is no tar archive, or not all of one; write: {ADVICE}") from error
    except ValueError as error:
        raise BadName(f"{error} (in the archive)") from error
    return found


def packed(files: Mapping[str, bytes]) -> bytes:
    """An archive of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


async def put(call: Call) -> int:
    place = call.place(call.args.app)
    archive = bytearray()
    while piece := await call.io.receive():
        archive += piece
        if len(archive) > ARCHIVE:
            raise BadName(f"the archive has more than {ARCHIVE:,} bytes; configuration is text, data are for services")
    files = unpacked(bytes(archive))
    before = call.site.config_vars(place).read(place.environment)
    if dict(before.files) == files:
        call.io.write("Nothing to change: it is so already")
        return 0
    what = f"Put {len(files)} files of configuration" if files else "Take the configuration away"
    return await deploy_with(call, place, before, replace(before, files=files), what)


async def take(call: Call) -> int:
    place = call.place(call.args.app)
    files = of(call, place, ADVICE).files
    if not files:
        raise NotFound(f"{place} has no configuration of its own; put one there: {ADVICE}")
    await call.io.send(packed(files))
    return 0


SPECS = (
    CommandSpec(
        "config:put", "the files of its configuration, as a tar archive on standard input; deploys with them", arguments, put,
        takes=lambda args: True,
    ),
    CommandSpec("config:take", "the files of its configuration, as a tar archive on standard output", arguments, take),
)  # fmt: skip
