"""The processes of an app on a machine: which of systemd's units there are to be, started, stopped, and told of."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Set

from buildless.errors import NodeError
from buildless.node import journal, kinds, marks, releases, systemd, units
from buildless.node.layout import AppLayout, Layout
from buildless.node.systemd import Unit
from buildless.node.verbs import Answer, Verb
from buildless.processes import WEB

LINES = 20
LOOK = 0.2  # seconds between looks at workers that were just started
ALIVE = ("running", "booting", "restarting", "down")


def of(home: AppLayout, release: str) -> Mapping[str, Any]:
    """The record of a release. Raises NodeError if it is not there."""
    record = releases.record(home, release)
    if record is None:
        raise NodeError(f"there is no release {release} of {home.name} on this node; deploy it again")
    return record


def adopt(layout: Layout, app: str, *, release: str, fingerprint: str) -> Answer:
    """Find processes that run, and would be the same, to serve `release`, too; says for which release they were started."""
    home = layout.app(app)
    same = [record for record in releases.listed(home) if record.get("fingerprint") == fingerprint]
    same = [record for record in same if record["release"] != release]
    running = (
        {(unit.kind, unit.release) for unit in systemd.services(app) if unit.state == "running"} if same else set()
    )
    found = set()
    for record in same:
        serving = releases.serving(home, record["release"])
        if serving is not None and all((kind, serving) in running for kind in kinds.answering(record)):
            found.add(serving)
    return {"serving": max(found, key=releases.number, default=None)}


def start(layout: Layout, app: str, *, release: str, timeout: float) -> Answer:
    """Start what answers requests of a release, and return when all of it is ready; False if it runs already. Workers wait.

    Raises NodeError with the output of what does not start; then nothing of them is left.
    """
    home = layout.app(app)
    record, serving = of(home, release), releases.serving(home, release)
    if serving is None:
        return {"started": False}
    answering = list(kinds.answering(record))
    if all(systemd.unit(app, serving, kind).state == "running" for kind in answering):
        return {"started": False}
    units.install(home, record)
    began = time.time()
    names = [name(app, serving, kind) for name in (systemd.socket, systemd.service) for kind in answering]
    failure = systemd.start(names, timeout)
    if failure is None:
        return {"started": True}
    states = [systemd.unit(app, serving, kind) for kind in answering]
    ended = next((unit for unit in states if unit.state != "running"), states[0])
    systemd.kill(app, [serving])
    lines = journal.since(systemd.service(app, serving, ended.kind), began)
    what = "the application" if ended.kind == WEB else ended.kind
    if failure == "late":
        raise NodeError(f"{what} did not start within {timeout:g} s", *lines)
    why, shown = journal.explained(lines, ended.status)
    raise NodeError(f"{what} does not start: {why}", *shown)


def output(layout: Layout, app: str, *, release: str) -> Answer:
    """The last lines that a release's processes wrote."""
    home = layout.app(app)
    serving = releases.serving(home, release)
    names = [systemd.service(app, serving, kind) for kind in kinds.answering(of(home, release))] if serving else []
    return {"lines": journal.tail(names, LINES) if names else []}


def stop(layout: Layout, app: str, *, release: str) -> Answer:
    """End what serves only this release, at once: it is not to be. The units are those of what is live again."""
    home = layout.app(app)
    if release == home.live_release():
        raise NodeError(f"{release} of {app} is live; deploy another release before it is stopped")
    serving = releases.serving(home, release)
    others = {releases.serving(home, other) for other in releases.names(home) if other != release}
    if serving is None or serving in others:
        return {}
    systemd.kill(app, [serving])
    if (live := releases.record(home, home.live_release())) is not None:
        units.install(home, live)
    return {}


def work(layout: Layout, app: str, *, counts: Dict[str, int]) -> Answer:
    """Have as many workers of the live release as there are to be, and none of others; nobody waits for that. Safe to repeat."""
    home = layout.app(app)
    wanted = workers(home, counts)
    if not wanted and not any(home.node.units.glob(systemd.service(app, "", "*"))):
        return {"workers": 0}
    releases.keep_counts(home, counts)
    there = {name_of(app, unit) for unit in systemd.services(app) if unit.number and unit.state in ALIVE}
    systemd.end(sorted(there - wanted))
    if wanted:
        units.install(home, of(home, home.live_release() or ""))
        systemd.begin(sorted(wanted))
    return {"workers": len(wanted)}


def workers(home: AppLayout, counts: Mapping[str, int] | None = None) -> Set[str]:
    """The units of the workers that there are to be; `counts` are what was kept of them, unless said."""
    live = home.live_release()
    record = releases.record(home, live)
    serving = releases.serving(home, live) if live else None
    if record is None or serving is None:
        return set()
    found = kinds.workers(record, releases.counts(home) if counts is None else counts).items()
    return {
        systemd.service(home.name, f"{serving}.{one}", kind) for kind, count in found for one in range(1, count + 1)
    }


def name_of(app: str, unit: Unit) -> str:
    return systemd.service(app, f"{unit.release}.{unit.number}" if unit.number else unit.release, unit.kind)


def steady(layout: Layout, app: str, *, seconds: float) -> Answer:
    """Watch the workers for so long; says which of them did not stay up, and what they wrote."""
    wanted = workers(layout.app(app))
    deadline = time.monotonic() + seconds
    problems: Dict[str, Dict[str, Any]] = {}
    while wanted and time.monotonic() < deadline:
        time.sleep(LOOK)
        for unit in systemd.services(app):
            name = name_of(app, unit)
            if name in wanted and unit.kind not in problems and (unit.restarts or unit.state in ("restarting", "down")):
                why, lines = journal.explained(journal.tail([name], LINES), unit.status)
                problems[unit.kind] = {"worker": unit.kind, "why": why, "lines": lines}
    return {"problems": list(problems.values())}


def retire(layout: Layout, app: str, *, live: str, keep: int, linger: float) -> Answer:
    """Have the processes of earlier releases stopped, each once it has answered what it accepted; nobody waits for that.

    The `keep` that were live last go on, until nobody has asked them for `linger` seconds, which is in their settings, too.
    """
    home = layout.app(app)
    serving = releases.serving(home, live)
    others = {unit.release for unit in systemd.services(app) if not unit.number and unit.state in ALIVE} - {serving}
    latest = {name: name for name in others}
    for name in releases.names(home):
        latest.update({one: name for one in latest if one == releases.serving(home, name)})
    surplus = sorted(latest, key=lambda name: releases.number(latest[name]), reverse=True)[keep if linger else 0 :]
    systemd.end([name for one in surplus for name in (systemd.service(app, one), *systemd.others(app, one))])
    return {}


def processes(layout: Layout, app: str) -> Answer:
    """The processes of an app, for `ps`: those that run, and those that should."""
    home = layout.app(app)
    serves: Dict[str, List[str]] = {}
    for name in releases.names(home):
        serves.setdefault(releases.serving(home, name) or "", []).append(name)
    live = releases.serving(home, home.live_release() or "v0") if home.live_release() else None
    wanted = workers(home)
    rows = [
        {
            "release": unit.release,
            "serves": serves.get(unit.release, []),
            "type": unit.kind,
            "state": unit.state,
            "pid": unit.pid,
            "restarts": unit.restarts,
            "up": unit.up,
        }
        for unit in sorted(systemd.services(app), key=lambda unit: (unit.kind != WEB, unit.kind, unit.number))
        if unit.state != "stopped" or (unit.release == live and not unit.number) or name_of(app, unit) in wanted
    ]
    return {"processes": sorted(rows, key=lambda row: releases.number(str(row["release"])))}


def bring_back(layout: Layout) -> None:
    """Let all releases listen again after the machine has started, and start those that are live, with their workers.

    What is withdrawn stays as it is.
    Of an app whose data are being brought up to date nothing is started, for it writes: it is when people are let in again.
    """
    listening, live = [], []
    for name in layout.names():
        home = layout.app(name)
        if home.withdrawn.is_symlink():
            continue
        current = home.live_release()
        for record in releases.listed(home):
            serving = releases.serving(home, record["release"])
            answering = kinds.answering(record) if serving is not None else {}
            listening += [systemd.socket(name, str(serving), kind) for kind in answering]
            if record["release"] == current and not home.held.exists():
                live += [systemd.service(name, str(serving), kind) for kind in answering]
        if not home.held.exists():
            live += sorted(workers(home))
    systemd.begin(list(dict.fromkeys([*listening, *live])))


def hold(layout: Layout, app: str) -> Answer:
    """See marks.hold. All processes of the app are ended, each when it has answered what it accepted. Safe to repeat.

    That is so for jobs, messages and commands that somebody runs, too: they write, and what they write would be lost.
    """
    marks.hold(layout, app)
    everything = [
        systemd.service(app, "*"),
        systemd.service(app, "*", "*"),
        systemd.oneoff(app, "*"),
        *(f"{systemd.job(app, '*')}@*.{kind}" for kind in ("timer", "service")),
        systemd.message(app, "*"),
    ]
    systemd.ask("stop", "--", *everything, timeout=systemd.STOP)
    return {}


def unhold(layout: Layout, app: str) -> Answer:
    """See marks.unhold. What is live runs again before anybody is let in."""
    home = layout.app(app)
    live = home.live_release()
    record = releases.record(home, live)
    if live is not None and record is not None:
        start(layout, app, release=live, timeout=systemd.STOP)
        systemd.begin(sorted(workers(home)))
    return marks.unhold(layout, app)


VERBS: Dict[str, Verb] = {
    verb.__name__: verb for verb in (adopt, start, output, stop, work, steady, retire, processes, hold, unhold)
}
