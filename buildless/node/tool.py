"""Programs that services are made with: run to their end, within a time; what they have to say becomes the error."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import Any, BinaryIO, Collection, Mapping, Sequence

from buildless.errors import NodeError

ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
QUICK = 60.0  # seconds for what is done at once
LONG = 6 * 3600.0  # and for what depends on how much there is
PIECE = 1 << 16


def run(
    argv: Sequence[str], stdin: str = "", env: Mapping[str, str] = {}, timeout: float = QUICK, **options: Any
) -> str:
    """What a program wrote. Raises NodeError with its own words."""
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, errors="replace", env={**ENVIRON, **env}, cwd="/",
            timeout=timeout, check=False, **options,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise NodeError(f"{argv[0]} is not installed; deploy the app again") from error
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"{argv[0]} did not end within {timeout:g} s and was stopped; look at the node") from error
    if done.returncode:
        raise failure(argv, done.returncode, done.stderr + done.stdout)
    return done.stdout


def read(
    argv: Sequence[str], out: BinaryIO, env: Mapping[str, str] = {}, harmless: Collection[int] = (), **options: Any
) -> str:
    """Write to `out` what a program writes. The server sees to the time. Raises NodeError with the program's own words.

    Returns what it has to say if it ends with a `harmless` status.
    """
    return stream(argv, None, out, env, harmless, options)


def write(argv: Sequence[str], source: BinaryIO, env: Mapping[str, str] = {}, **options: Any) -> None:
    """Have a program read all of `source`. Raises NodeError with the program's own words."""
    stream(argv, source, None, env, (), options)


def stream(
    argv: Sequence[str],
    source: BinaryIO | None,
    out: BinaryIO | None,
    env: Mapping[str, str],
    harmless: Collection[int],
    options: Mapping[str, Any],
) -> str:
    more = dict(options)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            argv, env={**ENVIRON, **env}, cwd="/", stdin=subprocess.PIPE if source else subprocess.DEVNULL,
            stdout=subprocess.PIPE if out else more.pop("stdout", errors), stderr=errors, **more,
        )  # fmt: skip
        try:
            if source is not None:
                assert process.stdin is not None
                try:
                    shutil.copyfileobj(source, process.stdin, PIECE)
                    process.stdin.close()
                except BrokenPipeError:
                    pass  # it says why
            if out is not None:
                assert process.stdout is not None
                shutil.copyfileobj(process.stdout, out, PIECE)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace") if status else ""
        if status and status not in harmless:
            raise failure(argv, status, said)
        return said


def copy(source: BinaryIO, out: BinaryIO) -> None:
    """All of one into the other, a piece at a time."""
    shutil.copyfileobj(source, out, PIECE)


def failure(argv: Sequence[str], status: int, text: str) -> NodeError:
    """A program's own words: the first line that says what is wrong, all of them below it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
    said = (telling or lines or [f"it ended with exit code {status}"])[0]
    return NodeError(f"{argv[0]}: {said.removeprefix(f'{argv[0]}: ')}", *lines[-20:])
