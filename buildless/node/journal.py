"""What the processes of an app wrote, from systemd's journal, and the line of it that says most."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
from datetime import datetime, timezone
from typing import Any, Dict, Generator, Iterable, List, Sequence, Tuple

from buildless.errors import NodeError
from buildless.node import systemd
from buildless.processes import WEB

TIMEOUT = 30
MAIL = "mail"
SHOWN = 40  # lines of a failed start
STAMP = re.compile(r"^\[[^]]*\] \[\d+\] \[\w+\] ")  # what gunicorn begins its lines with
ERROR = re.compile(
    r"[\w.]*(Error|Exception|Warning|Exit|Interrupt)\b|(\w+\.)+[A-Z]\w*(: |$)|.*\b(cannot|failed)\b", re.ASCII
)


def last_words(lines: Iterable[str], status: str) -> str:
    """The line of an output that says most likely why a process ended; `status` is how it did.

    >>> last_words(["Traceback ...", "ValueError: no", "[2024-01-01] [7] [ERROR] Shutting down"], "ended with exit code 1")
    'ValueError: no'
    >>> last_words(['psycopg2.errors.UndefinedTable: relation "a" does not exist', "LINE 1: SELECT * FROM a", "        ^"], "")
    'psycopg2.errors.UndefinedTable: relation "a" does not exist'
    >>> last_words(["SELECT * FROM a", "              ^"], "ended with exit code 1")
    'SELECT * FROM a'
    >>> last_words([], "ended with exit code 1")
    'it ended with exit code 1 and said nothing'
    """
    written = [line for line in lines if any(char.isalnum() for char in line)]
    errors = [line for line in written if ERROR.match(line)]
    return STAMP.sub("", (errors or written or [f"it {status} and said nothing"])[-1].strip())


def explained(lines: Sequence[str], status: str) -> Tuple[str, List[str]]:
    """Why a process ended, as `last_words` says, and the lines to show with it: what says the same is left out.

    A traceback stays whole.

    >>> explained(["Traceback ...", "  x", "ValueError: no", "shop:app cannot be loaded: ValueError: no"], "")
    ('shop:app cannot be loaded: ValueError: no', ['Traceback ...', '  x', 'ValueError: no'])
    >>> explained(["Traceback ...", "  x", "ValueError: no"], "")
    ('ValueError: no', ['Traceback ...', '  x', 'ValueError: no'])
    >>> explained(["web cannot be run: no such file"], "ended")
    ('web cannot be run: no such file', [])
    """
    reason = last_words(lines, status)
    of_traceback = [before.startswith((" ", "Traceback")) for before in ["", *lines]]
    shown = [line for line, ends in zip(lines, of_traceback) if ends or STAMP.sub("", line.strip()) != reason]
    return reason, shown


def entries(text: str) -> List[Dict[str, Any]]:
    """What journalctl wrote as JSON, an entry a line. A message that is not UTF-8 comes as a list of bytes."""
    found = []
    for line in text.splitlines():
        entry = json.loads(line)
        message = entry.get("MESSAGE")
        if isinstance(message, list):
            entry["MESSAGE"] = bytes(message).decode("utf-8", "replace")
        found.append({**entry, "MESSAGE": entry["MESSAGE"] or ""})
    return found


def since(unit: str, began: float) -> List[str]:
    """What the first of the starts of a unit since `began` (POSIX seconds) wrote; later ones would say the same again."""
    read("--sync")
    text = read(f"--since=@{began:.6f}", "--output=json", f"_SYSTEMD_UNIT={unit}")
    lines = entries(text)
    first = [entry.get("_SYSTEMD_INVOCATION_ID") for entry in lines][:1]
    return [entry["MESSAGE"] for entry in lines if entry.get("_SYSTEMD_INVOCATION_ID") in first][-SHOWN:]


def tail(units: Iterable[str], lines: int) -> List[str]:
    """The last lines that some units wrote themselves, what they wrote just now with them."""
    read("--sync")
    matches = [f"_SYSTEMD_UNIT={unit}" for unit in units]
    return [entry["MESSAGE"] for entry in entries(read(f"--lines={lines}", "--output=json", *matches))]


def logs(app: str, lines: int) -> List[str]:
    """The last lines of all of an app's releases, what systemd says of them too, each with its time and release."""
    return [shown(entry) for entry in entries(read(*all_of(app, lines)))]


def follow(app: str) -> Generator[str, None, None]:
    """Every line from now on, until whoever asked closes this process's standard input."""
    process = subprocess.Popen(
        ("journalctl", "--quiet", "--no-pager", "--follow", *all_of(app, 0)),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        waiting = select.poll()
        waiting.register(process.stdout, select.POLLIN)
        waiting.register(0, select.POLLRDHUP)  # not POLLIN: what comes meanwhile is the next request
        rest = b""
        while True:
            ready = dict(waiting.poll())
            data = os.read(process.stdout.fileno(), 65536) if process.stdout.fileno() in ready else b""
            *whole, rest = (rest + data).split(b"\n")
            yield from (shown(entry) for entry in entries(b"\n".join(whole).decode("utf-8", "replace")))
            if 0 in ready or not data:
                return
    finally:
        process.terminate()
        process.wait(TIMEOUT)
        process.stdout.close()


def all_of(app: str, lines: int) -> Tuple[str, ...]:
    """What reads the last lines of an app's processes, of its jobs, and of what takes its mail."""
    names = (systemd.service(app, "*"), systemd.service(app, "*", "*"), f"{systemd.job(app, '*')}@*.service",
             systemd.message(app, "*"))  # fmt: skip
    return (*(f"--unit={name}" for name in names), f"--lines={lines}", "--output=json")


def shown(entry: Dict[str, Any]) -> str:
    """A line as people read it.

    >>> shown({"__REALTIME_TIMESTAMP": "1700000000123456", "_SYSTEMD_UNIT": "app-shop-web@v7.service", "MESSAGE": "hello"})
    '2023-11-14T22:13:20.123Z v7 web | hello'
    >>> shown({"__REALTIME_TIMESTAMP": "1700000000123456", "_SYSTEMD_UNIT": "app-shop_chat@v7.2.service", "MESSAGE": "hello"})
    '2023-11-14T22:13:20.123Z v7 chat | hello'
    >>> shown({"__REALTIME_TIMESTAMP": "1700000000123456", "_SYSTEMD_UNIT": "mail-shop@0-7-0.service", "MESSAGE": "hello"})
    '2023-11-14T22:13:20.123Z live mail | hello'
    """
    when = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, timezone.utc)
    unit = entry.get("UNIT") or entry.get("_SYSTEMD_UNIT", "")
    template, _, instance = unit.partition("@")
    if template.startswith("mail-"):
        kind, instance = MAIL, "live"  # a unit for each message
    else:
        kind = template.rpartition("_")[2] if "_" in template else WEB
    return f"{when.strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3]}Z {instance.partition('.')[0]} {kind} | {entry['MESSAGE']}"


def read(*words: str) -> str:
    done = subprocess.run(
        ("journalctl", "--quiet", "--no-pager", *words), stdin=subprocess.DEVNULL, capture_output=True,
        timeout=TIMEOUT, check=False,
    )  # fmt: skip
    if done.returncode != 0 and done.stderr:
        raise NodeError(
            f"journalctl failed: {done.stderr.decode('utf-8', 'replace').strip()}; look at the node's journal"
        )
    return done.stdout.decode("utf-8", "replace")
