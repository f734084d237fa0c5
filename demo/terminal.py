"""What the demo shows: commands as a person types them, what comes back, and what was expected where it differs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

BOLD, DIM, RED, PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "", "")
STEP = 120.0  # seconds that one command may take


class Unexpected(Exception):
    """Something went another way than a demo must; the text says what was expected."""


def say(text: str = "") -> None:
    print(text, flush=True)


def expect(what: str, found: bool, seen: object) -> None:
    if not found:
        raise Unexpected(f"expected {what}; seen: {seen}")


@contextmanager
def limit(what: str) -> Iterator[None]:
    """Unexpected, when what is done here takes longer than STEP."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Unexpected(f"expected {what} within {STEP:g} s")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, STEP)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def own_environ() -> dict[str, str]:
    """Ours, without anybody's git settings and ssh agent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SSH_"))}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_TERMINAL_PROMPT": "0"}


class Terminal:
    """Runs commands in a directory, and shows them as a person would see them who typed them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def quiet(self, *argv: str, stdin: str = "") -> str:
        """Run a command that nobody needs to see; returns its output. One that fails is Unexpected."""
        done = subprocess.run(
            argv, cwd=self.directory, env=own_environ(), input=stdin, text=True, timeout=STEP,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        expect(f"`{shlex.join(argv)}` to work", done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def type(self, line: str, *argv: str) -> tuple[int, str]:
        """Show `line` as typed, run `argv` (default: the line itself), show what comes back; returns exit status and output."""
        say(f"{BOLD}$ {line}{PLAIN}")
        lines = []
        with subprocess.Popen(
            argv or shlex.split(line), cwd=self.directory, env=own_environ(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                assert process.stdout is not None
                with limit(f"`{line}` to end"):
                    for row in process.stdout:
                        lines.append(row.decode(errors="replace").rstrip().rpartition("\r")[2])  # of progress, the last
                        say(f"{DIM}{lines[-1]}{PLAIN}")
            except BaseException:
                process.terminate()
                raise
        say()
        return process.returncode, "\n".join(lines)
