"""When jobs are due: as crontab(5) says it, and the same in systemd's own understanding."""

import shutil
import subprocess
from datetime import datetime, timedelta

import pytest

from buildless.cron import schedule
from buildless.description import parse
from buildless.errors import DocumentError
from buildless.lifecycle import Update

START = datetime(2026, 11, 24, 13, 37)


def due(text, start=START, count=3):
    """The next minutes at which it is due."""
    found, when, times = [], start, schedule(text)
    while len(found) < count:
        when += timedelta(minutes=1)
        if times.due(when):
            found.append(when.strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0 3 * * *", ["2026-11-25 03:00", "2026-11-26 03:00", "2026-11-27 03:00"]),
        ("*/20 * * * *", ["2026-11-24 13:40", "2026-11-24 14:00", "2026-11-24 14:20"]),
        ("5-10/5,59 14 * * *", ["2026-11-24 14:05", "2026-11-24 14:10", "2026-11-24 14:59"]),
        ("0 9 * * mon-fri", ["2026-11-25 09:00", "2026-11-26 09:00", "2026-11-27 09:00"]),
        ("0 9 * * 0,7", ["2026-11-29 09:00", "2026-12-06 09:00", "2026-12-13 09:00"]),
        ("0 0 1 jan *", ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 27 * fri", ["2026-11-27 00:00", "2026-12-04 00:00", "2026-12-11 00:00"]),
        ("0 0 */10 * fri", ["2026-12-11 00:00", "2027-01-01 00:00", "2027-05-21 00:00"]),
        ("@weekly", ["2026-11-29 00:00", "2026-12-06 00:00", "2026-12-13 00:00"]),
        ("30/10 15 * * *", ["2026-11-24 15:30", "2026-11-24 15:40", "2026-11-24 15:50"]),
    ],
)
def test_when_it_is_due(text, wanted):
    assert due(text) == wanted
    if shutil.which("systemd-analyze"):
        assert by_systemd(text) == wanted


def by_systemd(text):
    """The same, as systemd-analyze(1) reads what we tell systemd."""
    found = set()
    for calendar in schedule(text).calendars():
        argv = ["systemd-analyze", "calendar", "--iterations=3", f"--base-time={START:%Y-%m-%d %H:%M} UTC", calendar]
        said = subprocess.run(
            argv, capture_output=True, text=True, check=True, timeout=30, env={"TZ": "UTC", "LC_ALL": "C"}
        )
        lines = [
            line.partition(": ")[2] for line in said.stdout.splitlines() if "Next elapse" in line or "Iter" in line
        ]
        found.update(line[4:20] for line in lines)
    return sorted(found)[:3]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 3 * * bin/clean", 'app.yaml:4: cron.a: "0 3 * * bin/clean" has no time and no command in it'),
        ("61 * * * * bin/clean", '"61" is no minute; write one from 0 to 59'),
        ("* * * * xyz bin/clean", '"xyz" is no day of the week; write one from 0 to 7'),
        ("30-10 * * * * bin/clean", '"30-10" has no minute in it; write the smaller number first'),
        ("*/0 * * * * bin/clean", '"*/0" has no minute in it'),
        ("@reboot bin/clean", '"@reboot" is no time of cron'),
        ("@daily", '"@daily" has no time and no command in it'),
        ("0 3 * * * /etc/passwd x", "is a URL path, which takes no arguments"),
        ("0 3 * * * ../clean", "is no path below the top of the tree"),
        ("0 3 * * * 'bin/clean", "ends inside a quotation"),
        ("{at: '* * * * *'}", "`run` is missing"),
        ("{run: bin/clean}", "`at` is missing"),
        ("{at: '* * * *', run: bin/clean}", "has 4 fields; write five"),
        ("{at: '* * * * *', run: bin/clean, timeout: never}", "is no length of time"),
        ("", "there is no job; write such as"),
    ],
)
def test_what_is_wrong_is_said(line, says):
    text = f"platform: static\n\ncron:\n  a: {line if line.startswith('{') or not line else repr(line)}\n"
    with pytest.raises(DocumentError) as caught:
        parse(text.encode())
    [problem] = caught.value.problems
    assert says in problem
    assert problem.startswith("app.yaml:4: cron.a")


def test_a_name_that_no_job_can_have():
    with pytest.raises(DocumentError, match="no name of a job"):
        parse(b"platform: static\ncron: {A b: '@daily bin/x'}\n")


def test_commands_for_moments():
    found = parse(
        b"platform: static\nupdate: {run: bin/migrate all, exclusive: yes}\ninstall: shop:install\nhealth_check: /health\n"
    )
    assert found.update == Update(("bin/migrate", "all"), exclusive=True)
    assert (found.install, found.health_check) == (("shop:install",), ("/health",))
    assert parse(b"platform: static\nupdate: bin/migrate\n").update == Update(("bin/migrate",))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("update: {exclusive: yes}", "app.yaml:2: update: there is no command; write `run: COMMAND`"),
        ("update: {run: bin/x, exclusive: maybe}", 'app.yaml:2: update.exclusive: "maybe" is neither true nor false'),
        ("install: ''", "app.yaml:2: install: the command is empty"),
        ("unit_test: ~/test", "is no path below the top of the tree"),
    ],
)
def test_commands_that_are_none(line, says):
    with pytest.raises(DocumentError) as caught:
        parse(f"platform: static\n{line}\n".encode())
    assert says in caught.value.problems[0]
