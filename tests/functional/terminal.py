"""Somebody who sits at a terminal, in which a program runs."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from .session import LIMIT


class Terminal:
    """`seen` is what is on the screen so far."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: object = None) -> None:
        self.master, slave = pty.openpty()
        self.seen = ""
        self.resize(24, 80)
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)

    def until(self, text: str) -> None:
        """Wait until `text` is on the screen."""
        until = time.monotonic() + LIMIT
        while text not in self.seen:
            left = until - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], f"no {text!r}:\n{self.seen}"
            try:
                self.seen += os.read(self.master, 4096).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"it ended without {text!r}:\n{self.seen}") from None

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self) -> int:
        """Its exit status."""
        return self.process.wait(LIMIT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        os.close(self.master)
