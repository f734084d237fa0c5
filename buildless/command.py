"""Commands of an application, as app.yaml and people name them; each runs in a process of its own that can be ended.

A command has one of four forms, told apart by its first word:

- ``/setup?demo=1``, a URL path: the application itself is asked, without a network (buildless/request.py);
- ``bin/import.py data.csv``, a Python script of the tree, by its name or its ``#!`` line;
- ``bin/backup.sh``, a shell script or any other program of the tree;
- ``shop.tasks:clean all``, a function: it is called with the other words as strings.

Where it says so, a fifth: ``psql``, a program that is installed. ``python`` is the application's own there.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Callable, List, Mapping, Optional, Sequence, Tuple, Union

from buildless.errors import CommandError

URL, SCRIPT, PROGRAM, FUNCTION, INSTALLED = "url", "script", "program", "function", "installed"
MODULE = "module"  # for what is ours: python -m, in the application's process; no line that anybody writes names one
TIMEOUT = 600.0  # seconds, unless another time is said
KEPT = 1_000_000  # characters of output: of more, the end
TICK = 0.1  # seconds between looks whether it has ended, as what it started may hold its output open
ADVICE = "write a URL path (/setup), a file of the tree (bin/import.py), or module:function"

LIBRARY = Path(__file__).absolute().parent.parent
"""Where this package is, as the interpreter found it."""

FUNCTION_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
PYTHONS = ("python", "python3")
_PATH = re.compile(r"/(?!/)[!-~]*")
_PYTHON = re.compile(rb"#!\s*\S*?(?:/env\s+(?:-S\s+)?)?(?:\S*/)?python[0-9.]*\b")


@dataclass(frozen=True)
class Command:
    """What is to run: `form`, what its first word names, and the other words."""

    form: str
    name: str
    arguments: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A command with all that its process is given; `libraries` are directories for sys.path outside of the tree."""

    directory: Path
    libraries: Tuple[str, ...]
    command: Command
    environ: Mapping[str, str]
    python: str = sys.executable


@dataclass(frozen=True)
class Result:
    """How a command ended: `output` is what it wrote, to both streams; `reason` says why it failed, and is empty otherwise."""

    success: bool
    output: str
    reason: str = ""


def parse_command(command: Union[str, Sequence[str]], directory: Path, path: Optional[str] = None) -> Command:
    """The command that a line, or words, name for the application in `directory`. Raises CommandError.

    With `path`, such as PATH, it may be a program that is installed there.

    >>> parse_command("shop.tasks:clean 'all of it' now", Path("/srv/shop"))
    Command(form='function', name='shop.tasks:clean', arguments=('all of it', 'now'))
    >>> parse_command("/setup?demo=1", Path("/srv/shop")).form
    'url'
    >>> parse_command("rm", Path("/srv/shop"))
    Traceback (most recent call last):
    ...
    buildless.errors.CommandError: 'rm': there is no such file in the tree; write a URL path (/setup), a file of the tree \
(bin/import.py), or module:function
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise CommandError(f"{command!r} is no command ({error}); close the quotes") from error
    if not words or not words[0]:
        raise CommandError(f"the command is empty; {ADVICE}")
    name, arguments = words[0], tuple(words[1:])
    if name.startswith("/"):
        return _url(name, arguments)
    if FUNCTION_NAME.fullmatch(name):
        return Command(FUNCTION, name, arguments)
    if path is not None and not os.path.lexists(directory / name):
        return Command(INSTALLED, _installed(name, path), arguments)
    return Command(_form(name, directory), os.path.normpath(name), arguments)


def _installed(name: str, path: str) -> str:
    """Where a program is installed. Raises CommandError if it is not."""
    if name in PYTHONS:
        return name
    program = None if "/" in name else which(name, path=path)
    if program is None:
        where = "" if "/" in name else ", and no such program is installed"
        raise CommandError(
            f"{name!r}: there is no such file in the tree{where}; commit it, or name its package under deb:"
        )
    return program


def _url(name: str, arguments: Tuple[str, ...]) -> Command:
    if arguments:
        raise CommandError(f"{name} is a URL path, which takes no arguments; write them as a query, such as {name}?x=1")
    if not _PATH.fullmatch(name):
        raise CommandError(f"{name!r} is no URL path; write one such as /setup, other characters as %20")
    return Command(URL, name)


def _form(name: str, directory: Path) -> str:
    """Which kind of program a file of the tree is. Raises CommandError if it is none."""
    top, path = os.path.realpath(directory), os.path.realpath(directory / name)
    if not path.startswith(top + os.sep):
        raise CommandError(f"{name!r} is not in the tree; {ADVICE}")
    if os.path.isdir(path):
        raise CommandError(f"{name!r} is a directory; {ADVICE}")
    try:
        with open(path, "rb") as file:
            begin = file.read(200)
    except FileNotFoundError:
        raise CommandError(f"{name!r}: there is no such file in the tree; {ADVICE}") from None
    except OSError as error:
        raise CommandError(f"{name!r} cannot be read: {error.strerror}; {ADVICE}") from error
    if name.endswith(".py") or _PYTHON.match(begin):
        return SCRIPT
    if name.endswith(".sh") or os.access(path, os.X_OK):
        return PROGRAM
    raise CommandError(f"{name!r} is no program; make it one: chmod +x {shlex.quote(name)}, git add, git commit")


def argv(job: Job) -> List[str]:
    """The command line of a job's process. Python and the application's code meet in `buildless.inside`."""
    command = job.command
    if command.form == INSTALLED:
        return [job.python if command.name in PYTHONS else command.name, *command.arguments]
    if command.form == PROGRAM:
        path = str(job.directory / command.name)
        return [*([] if os.access(path, os.X_OK) else ["/bin/sh"]), path, *command.arguments]
    told = {
        "directory": str(job.directory),
        "libraries": job.libraries,
        "form": command.form,
        "name": command.name,
        "arguments": command.arguments,
    }
    return [job.python, "-m", "buildless.inside", json.dumps(told)]


def start(job: Job, library: Path = LIBRARY) -> Path:
    """The directory that a job's process starts in; `library` is where the job's Python finds this package."""
    # python -m looks in the directory it starts in: ours, until `inside` has found buildless and goes to the application's.
    programs = (PROGRAM, INSTALLED)
    return job.directory if job.command.form in programs else library


def perform(job: Job, timeout: float, on_output: Optional[Callable[[str], None]] = None) -> Result:
    """Run a job to its end, or for `timeout` seconds. Nothing of it runs after this."""
    try:
        process = subprocess.Popen(
            argv(job),
            cwd=start(job),
            env=dict(job.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = f"{job.command.name} cannot be started: {unstarted(error)}"
        return Result(False, f"{reason}\n", reason)
    with process:
        try:
            output, in_time = follow(process, time.monotonic() + timeout, on_output)
        finally:
            end(process)
    if not in_time:
        return Result(False, output, f"{job.command.name} did not end within {timeout:g} s")
    status = process.returncode
    if status < 0:
        return Result(False, output, f"{job.command.name} was ended by signal {-status}")
    return Result(status == 0, output, f"{job.command.name} ended with exit code {status}" if status else "")


def unstarted(error: Exception) -> str:
    """Why execve(2) has refused a program, in words that say what to do where they can."""
    if getattr(error, "errno", None) == errno.ENOEXEC:
        return "nothing says what runs it; begin it with a line such as #!/bin/sh or #!/usr/bin/env python3"
    return getattr(error, "strerror", None) or str(error)


def follow(
    process: subprocess.Popen[bytes], deadline: float, on_output: Optional[Callable[[str], None]]
) -> Tuple[str, bool]:
    """What a process writes until it ends, and whether it does before `deadline`. What it leaves behind is not waited for."""
    assert process.stdout is not None
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    output, ended = "", False
    while True:
        ended = process.poll() is not None  # before the look, so that all it wrote is there then
        left = deadline - time.monotonic()
        readable = select.select([process.stdout], [], [], 0 if ended else max(0.0, min(TICK, left)))[0]
        data = os.read(process.stdout.fileno(), 65_536) if readable else b""
        text = decode(data)
        if text:
            output = (output + text)[-KEPT:]
            if on_output is not None:
                on_output(text)
        if ended and not data:
            return output + decode(b"", True), True
        if not ended and left <= 0:
            return output + decode(b"", True), False
        if readable and not data:
            time.sleep(min(TICK, max(0.0, left)) / 10)  # it closed its output, and goes on


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started, at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
