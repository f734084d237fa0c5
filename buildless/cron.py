"""When jobs are due: crontab(5)'s five fields, in UTC, understood here and said in systemd's words (systemd.time(7))."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, List, Mapping, Set, Tuple

from buildless.lifecycle import CommandLine, command_line
from buildless.values import quoted

TIMEOUT = 3600.0  # seconds that a job may take, unless another time is said
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NICKNAMES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}(?<!-)")
_RANGE = re.compile(r"(\*|[A-Za-z0-9]+(?:-[A-Za-z0-9]+)?)(?:/([0-9]{1,3}))?")

Numbers = Tuple[int, ...]
"""In their order, each once."""


@dataclass(frozen=True)
class Field:
    """One of the five: its name, the numbers it takes, and words for them, the first for `first`."""

    name: str
    first: int
    last: int
    words: Tuple[str, ...] = ()
    named: int = 0


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS, 1),
    Field("day of the week", 0, 7, DAYS, 0),
)


@dataclass(frozen=True)
class Schedule:
    """The minutes, hours, days, months and days of the week (0 is Sunday) at which a job is due.

    As crontab(5) has it: where both kinds of days are said, one of them is enough (`either`).
    """

    minutes: Numbers
    hours: Numbers
    days: Numbers
    months: Numbers
    weekdays: Numbers
    either: bool = False

    def due(self, when: datetime) -> bool:
        """Whether it is due in the minute `when`, in UTC.

        >>> schedule("0 3 * * 1-5").due(datetime(2026, 11, 24, 3, 0)), schedule("@daily").due(datetime(2026, 11, 24, 3, 0))
        (True, False)
        """
        day, weekday = when.day in self.days, when.isoweekday() % 7 in self.weekdays
        fits = (day or weekday) if self.either else (day and weekday)
        return fits and when.minute in self.minutes and when.hour in self.hours and when.month in self.months

    def calendars(self) -> List[str]:
        """The same for ``OnCalendar=``, any of which must hold.

        >>> schedule("*/15 8-10 * * mon-fri").calendars()
        ['Mon,Tue,Wed,Thu,Fri *-*-* 08,09,10:00,15,30,45:00 UTC']
        >>> schedule("0 0 13 * 5").calendars()
        ['*-*-13 00:00:00 UTC', 'Fri *-*-* 00:00:00 UTC']
        """
        months, days = said(self.months, FIELDS[3]), said(self.days, FIELDS[2])
        time = f"{said(self.hours, FIELDS[1])}:{said(self.minutes, FIELDS[0])}:00 UTC"
        names = ",".join(DAYS[number].title() for number in sorted(self.weekdays, key=lambda day: (day - 1) % 7))
        week = f"{names} " if len(self.weekdays) < 7 else ""
        if self.either:
            return [f"*-{months}-{days} {time}", f"{week}*-{months}-* {time}"]
        return [f"{week}*-{months}-{days} {time}"]


def said(numbers: Numbers, field: Field) -> str:
    """Numbers in systemd's words; all of them are a star."""
    if len(numbers) == field.last - field.first + 1:
        return "*"
    return ",".join(f"{number:02}" for number in numbers)


def schedule(text: str) -> Schedule:
    """What five fields, or one of `NICKNAMES`, say. Raises ValueError.

    >>> schedule("5,35 */6 1 jan,jul *").hours
    (0, 6, 12, 18)
    """
    if text.startswith("@"):
        if text not in NICKNAMES:
            raise ValueError(f"{quoted(text)} is no time of cron; write five fields, or one of {', '.join(NICKNAMES)}")
        text = NICKNAMES[text]
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise ValueError(
            f"{quoted(text)} has {len(parts)} fields; write five: minute hour day month weekday, 0 3 * * *"
        )
    minutes, hours, days, months, weekdays = map(numbers, parts, FIELDS)
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Schedule(minutes, hours, days, months, tuple(sorted({day % 7 for day in weekdays})), either)


def numbers(text: str, field: Field) -> Numbers:
    """The numbers that one field says: ``*``, ``5``, ``1-5``, ``*/15``, ``mon``, and lists of them. Raises ValueError."""
    found: Set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{quoted(part)} is no {field.name}; write such as *, 5, 1-5, */15 or 1,3,5")
        first, _, last = match[1].partition("-")
        step = int(match[2] or 1)
        if match[1] == "*":
            low, high = field.first, field.last - (1 if field.last == 7 else 0)
        else:
            low = number(first, field)
            high = number(last, field) if last else (field.last if match[2] else low)
        if low > high or step < 1:
            raise ValueError(
                f"{quoted(part)} has no {field.name} in it; write the smaller number first, and steps from 1"
            )
        found.update(range(low, high + 1, step))
    return tuple(sorted(found))


def number(text: str, field: Field) -> int:
    if text.lower() in field.words:
        return field.words.index(text.lower()) + field.named
    if not text.isdigit() or not field.first <= int(text) <= field.last:
        raise ValueError(f"{quoted(text)} is no {field.name}; write one from {field.first} to {field.last}")
    return int(text)


@dataclass(frozen=True)
class CronJob:
    """What is run when; ended after `timeout` seconds."""

    schedule: Schedule
    run: CommandLine
    timeout: float = TIMEOUT


def scheduled(said: Mapping[str, Any]) -> CronJob:
    """A job as a release's record has it, without what it runs: each number is one, and in its range. Raises ValueError."""
    names = ("minutes", "hours", "days", "months", "weekdays")
    minutes, hours, days, months, weekdays = map(ranged, (said[name] for name in names), FIELDS)
    times = Schedule(minutes, hours, days, months, weekdays, bool(said["either"]))
    return CronJob(times, (), said["timeout"])


def ranged(found: Any, field: Field) -> Numbers:
    """Numbers of a field as JSON has them. Raises ValueError."""
    if not found or not all(type(one) is int and field.first <= one <= field.last for one in found):
        raise ValueError(f"{found!r} are no numbers of a {field.name}")
    return tuple(found)


def job_name(text: str) -> str:
    """The name of a job. Raises ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{quoted(text)} is no name of a job; write small letters, digits and -, at most 20, such as nightly"
        )
    return text


def crontab_line(text: str) -> CronJob:
    """A job in one line: ``0 3 * * * bin/clean`` or ``@daily bin/clean``. Raises ValueError.

    >>> crontab_line("@daily shop.tasks:clean all").run
    ('shop.tasks:clean', 'all')
    """
    parts = text.split(None, 1 if text.startswith("@") else len(FIELDS))
    if len(parts) < (2 if text.startswith("@") else len(FIELDS) + 1):
        raise ValueError(f"{quoted(text)} has no time and no command in it; write such as 0 3 * * * bin/clean")
    return CronJob(schedule(" ".join(parts[:-1])), command_line(parts[-1]))
