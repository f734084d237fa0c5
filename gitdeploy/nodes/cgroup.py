"""A control group for each nspawn node where systemd does not run this machine: nodes that share one end each other's processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "gitdeploy-"
YOUNG = 60.0  # seconds in which an empty group may belong to a node that is about to start


def hierarchies(mounts: str) -> list[Path]:
    """Where systemd(1) in a node keeps its processes apart: cgroup v2 and v1's ``name=systemd``, of /proc/PID/mountinfo."""
    found = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(before.split()[4]))
    return found


class Group:
    """The control group of one node, at the top of every hierarchy that counts: a node outlives whoever starts it."""

    def __init__(self, machine: str) -> None:
        self.tops = hierarchies(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
        self.places = [top / f"{PREFIX}{machine}" for top in self.tops]

    def make(self) -> list[str]:
        """Make it; returns the files that a process writes its number to, to be in it."""
        for place in self.places:
            place.mkdir(exist_ok=True)
        return [str(place / "cgroup.procs") for place in self.places]

    def remove(self) -> None:
        """Remove it, and others that were left: one whose processes nobody has taken note of (zombies) cannot go at once."""
        left = [
            place for top in self.tops for place in top.glob(f"{PREFIX}*") if place not in self.places and _old(place)
        ]
        for place in (*self.places, *left):
            if any(_members(place)):
                continue
            for directory, _, _ in os.walk(place, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    break


def _members(place: Path) -> Iterator[int]:
    for directory, _, _ in os.walk(place):
        try:
            yield from map(int, Path(directory, "cgroup.procs").read_text(encoding="utf-8").split())
        except OSError:
            continue


def _old(place: Path) -> bool:
    try:
        return place.stat().st_mtime < time.time() - YOUNG
    except OSError:
        return False
