"""When a release that nobody asks may end by itself: the next request starts it again, as its socket stays with systemd."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import Callable, Optional

_SECONDS = struct.Struct("d")  # eight aligned bytes, and so always whole for whoever reads them


class Sleep:
    """The time of the last request, shared by the processes of one web server. `directory` is its release's, `name` its socket's.

    A release that is live never sleeps, and its time begins when it no longer is. Which one is live is asked of the symlink that
    a switch renames, and of the socket behind it, since a later release may have taken over these processes.
    """

    def __init__(
        self, directory: Path, linger: float, clock: Callable[[], float] = time.monotonic, name: str = "web.sock"
    ) -> None:
        self.linger, self.clock = linger, clock
        self.live = directory.parent.parent / "live" / name
        self.socket = target(directory / name)
        self.shared = mmap.mmap(-1, _SECONDS.size)
        self.touch()

    def touch(self) -> None:
        """There is a request."""
        _SECONDS.pack_into(self.shared, 0, self.clock())

    def is_live(self) -> bool:
        """Whether what is live is answered here."""
        return self.socket is not None and target(self.live) == self.socket

    def is_due(self) -> bool:
        """Whether it may end now. Where that cannot be told it may not."""
        if not self.linger or self.socket is None:
            return False
        if self.is_live():
            self.touch()
        return self.clock() - float(_SECONDS.unpack_from(self.shared, 0)[0]) > self.linger


def target(link: Path) -> Optional[str]:
    """Where a symlink points to; None if there is none."""
    try:
        return os.readlink(link)
    except OSError:
        return None
