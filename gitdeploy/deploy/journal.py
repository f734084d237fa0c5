"""Every deploy leaves one append-only file of JSON lines with all that happened in it: who, what, when, output, end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotFound

KEEP = 200  # deploys of an app and environment, whose files stay
MISSED = 20  # of the latest, in which it is looked whether a node took part


@dataclass(frozen=True)
class Summary:
    """A deploy in a line; times are POSIX seconds."""

    id: str
    user: str
    source: str
    commit: str
    started: float
    seconds: float | None
    result: str
    release: str | None
    error: str | None
    kept: str | None  # the backup that stays of an app that it deleted


class Entry:
    """The file of one deploy, open for writing. Each event is one write(2)."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path, self.now = path, now
        self.id = path.stem
        self.began = now()
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.closed = False

    def event(self, name: str, **fields: Any) -> None:
        """Append an event. A disk that is full must not end a deploy that is otherwise well: what cannot be kept is lost."""
        if self.closed:
            return
        row = json.dumps({"time": round(self.now(), 3), "event": name, **fields}, ensure_ascii=False) + "\n"
        try:
            os.write(self.file, row.encode())
        except OSError:
            pass

    def end(self, result: str, **fields: Any) -> None:
        """How it ended; `result` is live, prepared, nothing, refused, cancelled or failed. What tidying up says comes after."""
        self.event("end", result=result, seconds=round(self.now() - self.began, 3), **fields)

    def close(self) -> None:
        """Nothing more happens. Safe to repeat."""
        if not self.closed:
            os.close(self.file)
            self.closed = True


class Journal:
    """The deploys below a directory: ``APP/ENVIRONMENT/dN.jsonl``."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path, self.now = path, now

    def directory(self, app: str, environment: str) -> Path:
        return self.path / app / environment

    def begin(self, app: str, environment: str, **fields: Any) -> Entry:
        """Start the file of a new deploy; `fields` are those of its first event."""
        home = self.directory(app, environment)
        home.mkdir(parents=True, exist_ok=True)
        numbers = self.numbers(home)
        for old in numbers[: -KEEP + 1]:
            (home / f"d{old}.jsonl").unlink(missing_ok=True)
        number = max(numbers, default=0)
        while True:
            number += 1
            try:
                entry = Entry(home / f"d{number}.jsonl", self.now)
            except FileExistsError:
                continue
            entry.event("begin", **fields)
            return entry

    @staticmethod
    def numbers(home: Path) -> list[int]:
        names = [path.stem[1:] for path in home.glob("d*.jsonl")]
        return sorted(int(name) for name in names if name.isdigit())

    def events(self, app: str, environment: str, deploy: str) -> Iterator[dict[str, Any]]:
        """The events of one deploy, oldest first; a line that is half written is left out. Raises NotFound."""
        path = self.directory(app, environment) / f"{deploy}.jsonl"
        if not (deploy[:1] == "d" and deploy[1:].isdigit() and path.exists()):
            raise NotFound(f"there is no deploy {deploy!r} of {app} in {environment}; 'deploys' lists them")
        with path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def list(self, app: str, environment: str, most: int = 20) -> list[Summary]:
        """The latest deploys, oldest first."""
        numbers = self.numbers(self.directory(app, environment))[-most:]
        return [self.summary(app, environment, f"d{number}") for number in numbers]

    def summary(self, app: str, environment: str, deploy: str) -> Summary:
        first: dict[str, Any] = {}
        end: dict[str, Any] = {}
        commit, release, kept = "", None, None
        for event in self.events(app, environment, deploy):
            first = first or event
            commit = event.get("commit", commit)
            release = event.get("release", release)
            kept = event.get("kept", kept)
            end = event if event["event"] == "end" else end
        return Summary(
            id=deploy,
            user=first.get("user", "?"),
            source=first.get("source", "?"),
            commit=commit,
            started=first.get("time", 0.0),
            seconds=end.get("seconds"),
            result=end.get("result", "under way"),
            release=release if end.get("result") in ("live", "prepared") else None,
            error=end.get("error"),
            kept=kept,
        )

    def missed(self, app: str, environment: str, node: str) -> bool:
        """Whether something was made live without a node, which did not catch up since then, as far as the latest deploys say."""
        for number in reversed(self.numbers(self.directory(app, environment))[-MISSED:]):
            events = list(self.events(app, environment, f"d{number}"))
            nodes = next((one["nodes"] for one in events if one["event"] == "committed" and "nodes" in one), None)
            if nodes is None or any(one.get("result") == "prepared" for one in events):
                continue
            if node in nodes:
                return False
            if events[0].get("source") != "catch up":
                return True
        return False

    def interrupt(self, app: str, environment: str) -> None:
        """Give the deploys that a killed server left without an end their end; for a server that has just started."""
        home = self.directory(app, environment)
        for number in self.numbers(home)[-5:]:
            if self.summary(app, environment, f"d{number}").result == "under way":
                row = json.dumps(
                    {"time": round(self.now(), 3), "event": "end", "result": "interrupted", "error": "the server ended"}
                )
                with (home / f"d{number}.jsonl").open("a", encoding="utf-8") as file:
                    file.write("\n" + row + "\n")
