"""``python3 -m buildless.receive APP_DIR``: gives a message to the live release's command, and says how that went.

Standard input is a connection (mail.socket). It brings a line of JSON, ``{"sender": ..., "recipient": ...}``, and then the message
as it is, to its end; it gets ``{"status": ..., "text": ...}``, an exit status of sysexits.h and the last words. What the command
writes is on standard error, too, which is the app's log.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Dict, Tuple

from buildless import oneoff
from buildless.command import end, follow
from buildless.errors import BuildlessError
from buildless.mail import LATER, UNKNOWN, Mailbox, find
from buildless.package import AppPackage

SAID = 500  # characters of a command's last words


def receive(app: Path, told: Dict[str, str], message: IO[bytes]) -> Tuple[int, str]:
    """The exit status for a message, and why. Nothing of an app that is not there, or not in service, loses it."""
    if not (app / "live").is_symlink() or any((app / "releases" / name).exists() for name in ("held", "maintenance")):
        return LATER, "the application is out of service"
    release = Path(os.path.realpath(app / "live"))
    found = find(AppPackage(release / "tree").description.mail, told["recipient"])
    if found is None:
        return UNKNOWN, "there is no such address"
    return run(release, found, told, message)


def run(release: Path, mailbox: Mailbox, told: Dict[str, str], message: IO[bytes]) -> Tuple[int, str]:
    """Run the command. One that is killed, or takes too long, is to have the message later."""
    start = oneoff.command(release, {"words": list(mailbox.run), "term": None})
    environ = {**start.environ, "SENDER": told["sender"], "RECIPIENT": told["recipient"]}
    process = subprocess.Popen(
        start.argv, env=environ, cwd=start.directory, stdin=message, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    with process:
        try:
            output, in_time = follow(process, time.monotonic() + mailbox.timeout, log)
        finally:
            end(process)
    if not in_time:
        return LATER, f"it was not done within {mailbox.timeout:g} s"
    if process.returncode < 0:
        return LATER, f"it was ended by signal {-process.returncode}"
    return process.returncode, last_words(output)


def log(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def last_words(output: str) -> str:
    """The last line with a letter or a digit that a command wrote, in characters that print.

    >>> last_words("Traceback\\n  x\\n\\x1b[1mValueError: no\\n   ^\\n\\n")
    '[1mValueError: no'
    """
    lines = [line.strip() for line in output.splitlines() if any(char.isalnum() for char in line)]
    return "".join(char for char in (lines or [""])[-1] if char.isprintable())[-SAID:]


def main() -> None:
    with socket.socket(fileno=os.dup(0)) as connection, connection.makefile("rb") as source:
        told = json.loads(source.readline())
        with tempfile.TemporaryFile() as message:
            shutil.copyfileobj(source, message)
            message.seek(0)
            try:
                status, text = receive(Path(sys.argv[1]), told, message)
            except (BuildlessError, OSError) as error:
                status, text = LATER, str(error)
        if status:
            log(f"the message from {told['sender'] or 'nobody'} to {told['recipient']} ended with {status}: {text}\n")
        connection.sendall(json.dumps({"status": status, "text": text}).encode())


if __name__ == "__main__":
    main()
