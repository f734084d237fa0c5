"""The jobs of an app on a machine: a timer and a service of systemd's for each, of the live release, on one node alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Set

from buildless.cron import CronJob, job_name, scheduled
from buildless.errors import NodeError
from buildless.node import releases, systemd, units
from buildless.node.layout import AppLayout, Layout
from buildless.node.marks import jobs as keep_mark
from buildless.node.running import of
from buildless.node.templates import render
from buildless.node.verbs import Answer


def jobs(layout: Layout, app: str, *, release: str, here: bool) -> Answer:
    """Let this node run the jobs of a release that was made live, and of no other; or none, if they are run elsewhere."""
    home = layout.app(app)
    wanted = planned(of(home, release)) if here else {}
    keep_mark(layout, app, release=release, here=here)
    before, after = timers(app), {timer(app, name, release) for name in wanted}
    if before - after:
        systemd.ask("stop", "--", *sorted(before - after))
    install(home, texts(home, of(home, release), wanted))
    if after - before:
        systemd.ask("start", "--", *sorted(after - before))
    return {"jobs": len(wanted)}


def planned(record: Mapping[str, Any]) -> Dict[str, CronJob]:
    """The jobs that a record names; what they run is said in the tree. Raises NodeError."""
    try:
        return {job_name(name): scheduled(said) for name, said in record.get("cron", {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise NodeError(f"{error}; deploy it again") from error


def timer(app: str, name: str, release: str) -> str:
    return f"{systemd.job(app, name)}@{release}.timer"


def timers(app: str) -> Set[str]:
    """The timers of an app that systemd has started."""
    found = systemd.ask("list-units", "--plain", "--no-legend", "--full", "--", timer(app, "*", "*"))
    return {line.split()[0] for line in found.splitlines() if line.split()}


def texts(home: AppLayout, record: Mapping[str, Any], wanted: Mapping[str, CronJob]) -> Dict[Path, str]:
    """The texts of the unit files of jobs, by where they belong."""
    limits = units.limits(home, record["web"])
    found = {}
    for name, job in wanted.items():
        told = {
            **limits,
            "name": name,
            "calendars": job.schedule.calendars(),
            "timeout": units.number(vars(job), "timeout"),
        }
        for kind in ("timer", "service"):
            found[home.node.units / f"{systemd.job(home.name, name)}@.{kind}"] = render(
                f"cron.{kind}", told, home.node.texts
            )
    return found


def install(home: AppLayout, wanted: Mapping[Path, str]) -> None:
    """Have these unit files of jobs and no others, and systemd read them if any changed. A job that runs goes on."""
    there: List[Path] = list(home.node.units.glob(f"{systemd.job(home.name, '*')}@.*"))
    changed = units.put(wanted)
    for path in there:
        if path not in wanted:
            path.unlink()
            changed = True
    if changed:
        systemd.reload()


def remove(home: AppLayout) -> None:
    """Take away the jobs of an app, those that run included."""
    if any(home.node.units.glob(f"{systemd.job(home.name, '*')}@.*")):
        systemd.quietly("stop", "--", timer(home.name, "*", "*"), f"{systemd.job(home.name, '*')}@*.service")
        install(home, {})


def marked(home: AppLayout) -> List[str]:
    """The timers that are to run on this node, after it was started."""
    live = home.live_release()
    record = releases.record(home, live)
    if live is None or record is None or not home.jobs.exists():
        return []
    return [timer(home.name, name, live) for name in planned(record)]
