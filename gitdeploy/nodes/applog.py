"""What an app's processes write: a file with a time on every line, rotated by size, and whoever follows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.python.logfile import LogFile

ROTATE = 10_000_000  # bytes
KEEP = 5  # files


class AppLog:
    """The log of one app on this node, ``web.log`` in `directory`. `now` tells the time in POSIX seconds."""

    def __init__(self, directory: Path, now: Callable[[], float]) -> None:
        self.directory, self.now = directory, now
        self.path = directory / "web.log"
        self.followers: set[Callable[[str], None]] = set()
        self.file: LogFile | None = None

    def write(self, release: str, text: str, kind: str = "web") -> None:
        """Add a line of a process type of `release`. A disk that is full must not take the app with it."""
        stamp = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        line = f"{stamp}Z {release} {kind} | {text}"
        for follow in list(self.followers):
            follow(line)
        try:
            if self.file is None or not self.path.exists():
                self.directory.mkdir(parents=True, exist_ok=True)
                self.file = LogFile(self.path.name, str(self.directory), rotateLength=ROTATE, maxRotatedFiles=KEEP)
            self.file.write(line.encode("utf-8", "replace") + b"\n")
            self.file.flush()
        except OSError:
            self.file = None

    async def follow(self, sink: Callable[[str], None]) -> None:
        """Pass on every line from now on, until this is cancelled."""
        self.followers.add(sink)
        try:
            await Deferred()
        finally:
            self.followers.discard(sink)

    def tail(self, most: int) -> list[str]:
        """The last `most` lines, oldest first."""
        lines: deque[str] = deque(maxlen=most)
        for path in (self.path.with_name("web.log.1"), self.path):
            try:
                with path.open(encoding="utf-8", errors="replace") as file:
                    lines.extend(line.rstrip("\n") for line in file)
            except OSError:
                continue
        return list(lines)
