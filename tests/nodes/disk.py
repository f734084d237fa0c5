"""A small disk of a node's own, which can be full without this machine's being full."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .machines import Node, run

ROOM = 400_000_000  # bytes that are free on it


class Disk:
    """All that a node has written, moved to a file system in a file. `close` takes that away again, and what it has with it."""

    def __init__(self, node: Node) -> None:
        self.node, self.place = node, node.container.directory
        self.image = self.place.with_name(f".{self.place.name}.disk")
        self.filler = self.place / "filler"

    def make(self) -> None:
        self.node.stop()
        self.node.container.unmount()
        used = sum(path.lstat().st_blocks * 512 for path in self.place.rglob("*"))
        with self.image.open("wb") as file:
            os.truncate(file.fileno(), int(used * 1.1) + ROOM)
        run("mkfs.ext4", "-q", "-m", "0", "-F", str(self.image))
        mounted = self.place.with_name(f".{self.place.name}.new")
        mounted.mkdir()
        run("mount", "-o", "loop", str(self.image), str(mounted))
        run("cp", "-a", f"{self.place}/.", str(mounted))
        run("umount", str(mounted))
        mounted.rmdir()
        run("mount", "-o", "loop", str(self.image), str(self.place))
        self.node.start()
        self.node.up()

    def fill(self) -> None:
        """Take all that is free."""
        with self.filler.open("ab") as file:
            found = os.statvfs(self.place)
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - 65536)
            try:
                while True:
                    os.write(file.fileno(), bytes(4096))
            except OSError:
                pass

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)

    def close(self) -> None:
        self.node.power_off()
        self.node.container.unmount()
        run("umount", str(self.place))
        self.image.unlink()
        shutil.rmtree(self.place / "root", ignore_errors=True)
        Path(self.place / "root").mkdir(exist_ok=True)
