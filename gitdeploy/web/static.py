"""Files of a release, served at the root before its application; the rules of HTTP for files are whitenoise's."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from whitenoise.media_types import MediaTypes
from whitenoise.responders import Response, SlicedFile, StaticFile

from buildless.static import NAME, VERSIONED
from gitdeploy.web.fields import Ask, Fields
from gitdeploy.web.pages import Page, no_such_file

if TYPE_CHECKING:
    from gitdeploy.web.target import Target
    from gitdeploy.web.visitor import Visitor

_BLOCK = 1 << 16
_TYPES = MediaTypes()
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"range", b"if-range")
_PHP = re.compile(rb"\.php(?:/|$)")
_FOR_EVER = b"public, max-age=31536000, immutable"
_CODINGS = (("br", ".br"), ("gzip", ".gz"))  # the better one first


@dataclass(frozen=True)
class Answer:
    """What a file answers: `file` is open for reading and gives the body of `length` bytes, None where there is none."""

    status: int
    fields: Fields
    file: IO[bytes] | None
    length: int = 0


def first(target: Target, ask: Ask) -> Answer | Page | None:
    """The answer of a file of the release, or of what its application has stored for this host or for all of them.

    What is asked of a version is a file of that or none, and never the application's turn.
    """
    if target.versions is not None and (asked := VERSIONED.fullmatch(ask.target)):
        return of_version(target.versions, asked[1].decode(), replace(ask, target=asked[2])) or no_such_file(target.app)
    if target.static is not None and (found := look_up(target.static, target.root, ask)) is not None:
        return found
    if target.public is None:
        return None
    own = look_up(os.path.join(target.public, ask.host), target.public, ask) if ask.host.strip(".") else None
    return own or look_up(target.public, target.public, ask)


def of_version(versions: str, commit: str, ask: Ask) -> Answer | None:
    """The answer of a file of a version: it never changes. Files of PHP are not shown, nor are directories."""
    if ask.target.endswith(b"/") or _PHP.search(unquote_to_bytes(ask.target)):
        return None
    found = look_up(os.path.join(versions, f"{NAME}-{commit}"), os.path.join(versions, commit), ask)
    if found is None or found.status == HTTPStatus.FOUND:
        return None
    return replace(found, fields=[*found.fields, (b"Cache-Control", _FOR_EVER)])


def look_up(directory: str, root: str | None, ask: Ask) -> Answer | None:
    """The answer of the file that `ask` names in `directory`, or None: then it is the application's turn.

    Symbolic links are followed as long as they stay below `root`. A directory answers with its index.html.
    """
    raw, _, query = ask.target.partition(b"?")
    parts = _parts(unquote_to_bytes(raw))
    if parts is None:
        return None
    fence = os.path.realpath(root or directory)
    real, info = _inside(fence, os.path.join(directory, *parts))
    if info is not None and stat.S_ISDIR(info.st_mode):
        real, info = _inside(fence, os.path.join(directory, *parts, "index.html"))
        if info is not None and stat.S_ISREG(info.st_mode) and not raw.endswith(b"/"):
            return _redirect("/".join([ask.prefix, *parts, ""]), query)
    elif raw.endswith(b"/"):
        return None
    if info is None or not stat.S_ISREG(info.st_mode):
        return None
    return _serve(fence, real, info, ask)


def _parts(path: bytes) -> list[str] | None:
    """The names of a decoded path, or None when it is none of a file we show (dotfiles, ``..``, NUL, ``//``)."""
    names = os.fsdecode(path).removeprefix("/").split("/")
    if names[-1] == "":
        names.pop()
    for position, name in enumerate(names):
        if not name or "\0" in name or (name.startswith(".") and (position or name != ".well-known")):
            return None
    return names


def _inside(fence: str, path: str) -> tuple[str, os.stat_result | None]:
    try:
        real = os.path.realpath(path, strict=True)
        if real == fence or real.startswith(fence + "/"):
            return real, os.stat(real)
    except OSError:
        pass  # no such file, a loop of links, a file where a directory is asked for, a name too long
    return path, None


def _redirect(path: str, query: bytes) -> Answer:
    location = quote(os.fsencode(path)).encode() + (b"?" + query if query else b"")
    return Answer(302, [(b"Location", location), (b"Content-Length", b"0")], None)


def _serve(fence: str, real: str, info: os.stat_result, ask: Ask) -> Answer:
    chosen, coding, varies = _choose(fence, real, ask.fields.get(b"accept-encoding", b"").decode("latin-1"))
    kind = _TYPES.get_type(real)
    headers = [("Content-Type", f'{kind}; charset="utf-8"' if kind.startswith("text/") else kind)]
    if coding:
        headers.append(("Content-Encoding", coding))
        info = os.stat(chosen)
    if varies:
        headers.append(("Vary", "Accept-Encoding"))
    # whitenoise's own tag is the second and the size: two versions of a file may share it
    etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}-{info.st_ino:x}"'
    headers += [("Accept-Ranges", "bytes"), ("ETag", etag)]
    served = _File(chosen, headers)
    answer = served.get_response(ask.method.decode("ascii"), served.conditions(ask))
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.status == 416:
        fields.append((b"Content-Length", b"0"))
    length = int(dict(answer.headers).get("Content-Length", 0))
    return Answer(int(answer.status), fields, answer.file, length)


def _choose(fence: str, real: str, accepted: str) -> tuple[str, str, bool]:
    """(path, content coding or "", whether there was a choice) of the best thing beside `real` that is accepted."""
    varies = False
    for coding, suffix in _CODINGS:
        path, info = _inside(fence, real + suffix)
        if info is not None and stat.S_ISREG(info.st_mode):
            varies = True
            if _accepts(accepted, coding):
                return path, coding, True
    return real, "", varies


def _accepts(accepted: str, coding: str) -> bool:
    for item in accepted.split(","):
        name, _, weight = item.partition(";")
        if name.strip().lower() == coding:
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False


class _File(StaticFile):  # type: ignore[misc]  # whitenoise has no types
    """A file with the few things put right that whitenoise leaves to others (lists of tags, If-Range, one byte)."""

    def conditions(self, ask: Ask) -> dict[str, str]:
        """The conditional fields of `ask` in the form that whitenoise compares (RFC 9110 13.1 and 14.2)."""
        fields = {name: ask.fields[name].decode("latin-1") for name in _CONDITIONS if name in ask.fields}
        out: dict[str, str] = {}
        if (tags := fields.get(b"if-none-match")) is not None:
            known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
            out["HTTP_IF_NONE_MATCH"] = self.etag if known & {self.etag, "*"} else ""
        if (since := fields.get(b"if-modified-since")) is not None:
            out["HTTP_IF_MODIFIED_SINCE"] = since
        # If-Range with a date is not taken: a second is too coarse to tell two versions apart
        if b"range" in fields and ask.method == b"GET" and fields.get(b"if-range", self.etag) == self.etag:
            out["HTTP_RANGE"] = fields[b"range"]
        return out

    def get_range_response(
        self, range_header: str, base_headers: list[tuple[str, str]], file_handle: IO[bytes] | None
    ) -> object:
        """As whitenoise's; but that takes a range of one byte for none (start >= end, and `end` is inclusive)."""
        size = int(dict(base_headers)["Content-Length"])
        start, end = self.get_byte_range(range_header, size)
        if file_handle is None or start != end:
            return super().get_range_response(range_header, base_headers, file_handle)
        kept = [item for item in base_headers if item[0] != "Content-Length"]
        kept += [("Content-Range", f"bytes {start}-{end}/{size}"), ("Content-Length", "1")]
        return Response(HTTPStatus.PARTIAL_CONTENT, kept, SlicedFile(file_handle, start, end))


class Reading:
    """Gives a file to a visitor, a block at a time, as fast as the client takes it."""

    def __init__(self, visitor: Visitor, file: IO[bytes], length: int) -> None:
        self._visitor = visitor
        self._file = file
        self._left = length
        self._paused = False

    def resume(self) -> None:
        self._paused = False
        while not self._paused and not self._file.closed:
            block = self._file.read(min(_BLOCK, self._left))
            self._left -= len(block)
            if block:
                self._visitor.send(block)
            if not self._left:
                self._visitor.finish()
            elif not block:  # somebody cut the file short
                self._visitor.cut()

    def pause(self) -> None:
        self._paused = True

    def stop(self) -> None:
        self._file.close()

    def body(self, data: bytes) -> None:
        """A request for a file that has a body: nobody reads it."""

    def body_end(self) -> None:
        """Nor its end."""

    def tunnel(self, data: bytes) -> None:
        """A file switches no protocol."""
