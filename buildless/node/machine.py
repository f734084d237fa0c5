"""What only a machine of its own can do: users, systemd, nginx and apt. Its verbs stand beside, or around, the common ones.

``/usr/lib/gitdeploy/node`` is `main`: all that the server's user may do as root on a node goes through here.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

from buildless.errors import NodeError
from buildless.node import (
    compiled,
    journal,
    kinds,
    mail,
    marks,
    mounts,
    nginx,
    packages,
    releases,
    running,
    systemd,
    units,
    verbs,
)
from buildless.node.__main__ import serve as answer_requests
from buildless.node.confined import run
from buildless.node.jobs import jobs, marked
from buildless.node.jobs import remove as remove_jobs
from buildless.node.layout import AppLayout, Layout
from buildless.node.owners import SENDER, SystemOwners
from buildless.node.removal import forget_user
from buildless.node.running import bring_back, of
from buildless.node.status import status
from buildless.node.turn import began, end_with_asker
from buildless.node.verbs import Answer, Verb
from buildless.node.wheels import wheels as pip_wheels

PYTHON = re.compile(r"/usr/(local/)?bin/python3(\.[0-9]+)?")


# The common verbs, with what a machine has besides files.


def survey(layout: Layout, app: str, *, debs: List[str], python: str | None) -> Answer:
    """See verbs.survey. The interpreter is one that is installed: it is run as root."""
    if python is not None and not PYTHON.fullmatch(python):
        raise NodeError(f"{python} is no interpreter of a node; write one such as /usr/bin/python3")
    return verbs.survey(layout, app, debs=debs, python=python)


def wheels(layout: Layout, app: str, *, version: str, pip: List[str], python: str) -> Answer:
    """See wheels.wheels; the interpreter as for `survey`."""
    if not PYTHON.fullmatch(python):
        raise NodeError(f"{python} is no interpreter of a node; write one such as /usr/bin/python3")
    return pip_wheels(layout, app, version=version, pip=pip, python=python)


def release(layout: Layout, app: str, **said: Any) -> Answer:
    """See verbs.release. Its sockets are the app's own. The first one of an app need not compile what is installed.

    What another node of its environment keeps for it is mounted. If another one had its number, of an attempt that was cut short
    or before the app was destroyed, nothing of that runs any more.
    """
    home, new = layout.app(app), releases.NewRelease(**said)
    expected = kinds.sockets(home, str(new.record.get("serving") or new.release), new.record)
    if new.sockets != expected:
        raise NodeError(f"{new.sockets} are no sockets of {app}, which listens in {home.socket(new.release).parent}")
    before = releases.record(home, new.release)
    if before is not None and any(before.get(what) != new.record.get(what) for what in ("commit", "fingerprint")):
        systemd.kill(app, [new.release])  # else what runs there would pass for it
    first = not home.pycache.is_dir()
    done = verbs.release(layout, app, **said)
    for host in new.record.get("mounts", {}).values():
        mounts.install(home, host)
    if first:
        layout.owners.as_app(app, lambda: compiled.link_installed(home.pycache, filter(os.path.isdir, sys.path)))
    return done


def discard(layout: Layout, app: str, *, release: str | None, version: str | None) -> Answer:
    """See verbs.discard; its processes, and the rest of an app that nothing is left of."""
    home = layout.app(app)
    if release is not None and release != home.live_release():
        running.stop(layout, app, release=release)
    verbs.discard(layout, app, release=release, version=version)
    mounts.remain(home, releases.mounts(home))
    if not home.home.exists():
        remove_system(home)
    return {}


def forget(layout: Layout, app: str, *, live: bool = False) -> Answer:
    """See verbs.forget."""
    home = layout.app(app)
    if (home.live.is_symlink() or home.withdrawn.is_symlink()) and not live:
        return {"forgotten": False}
    end_all(home)
    verbs.forget(layout, app, live=live)
    remove_system(home)
    return {"forgotten": True}


def withdraw(layout: Layout, app: str) -> Answer:
    """See marks.withdraw. Its locations, addresses and jobs are nobody's then, and nothing of it runs, after a boot either."""
    home = layout.app(app)
    nginx.install(home, None)
    mail.install(home, None)
    remove_jobs(home)
    end_all(home)
    mounts.remain(home, ())
    return marks.withdraw(layout, app)


def end_all(home: AppLayout) -> None:
    """End the processes of all releases, and let none of them listen."""
    systemd.kill(home.name, {*releases.names(home), *(unit.release for unit in systemd.services(home.name))})


def prune(layout: Layout, app: str, *, keep: List[str]) -> Answer:
    """See verbs.prune. Sockets go first: nobody starts what is about to be deleted. The units are those of what is live again."""
    home = layout.app(app)
    systemd.kill(app, releases.surplus(home, keep))
    done = verbs.prune(layout, app, keep=keep)
    mounts.remain(home, releases.mounts(home))
    if (live := releases.record(home, home.live_release())) is not None:
        units.install(home, live)
    return done


def remove_system(home: AppLayout) -> None:
    """Take away what an app has outside of its own directories. Its user stays as long as there is something that is the user's."""
    nginx.install(home, None)
    mail.install(home, None)
    remove_jobs(home)
    units.remove(home)
    systemd.quietly("kill", "--signal=HUP", "--kill-whom=main", "rsyslog.service")  # it closes the log, which is gone
    sockets = home.socket("v1").parent
    if sockets.is_dir() and not any(sockets.iterdir()):
        sockets.rmdir()
    forget_user(home)


# The verbs of a machine.


def propose(layout: Layout, app: str, *, release: str) -> Answer:
    """Make the units and the nginx file that a release needs, and test them beside those that count. Nothing changes but that there
    is a postfix, if it wants mail."""
    home = layout.app(app)
    record = of(home, release)
    units.units(home, record)
    nginx.propose(home, record)
    mail.propose(home, record)
    return {}


def check(layout: Layout, app: str, *, release: str, host: str, path: str, timeout: float) -> Answer:
    """Ask a release for `path` through nginx, before it is live."""
    home = layout.app(app)
    of(home, release)
    return nginx.ask(home, release, host, path, timeout)


def serve(layout: Layout, app: str, *, release: str, counts: Dict[str, int]) -> Answer:
    """Let nginx know the hosts of a release that was made live, if they changed; return when it serves it.

    postfix knows its addresses then, too. Its workers are started, and those of others are asked to end. `counts` says how many
    there are to be.
    """
    home = layout.app(app)
    record = of(home, release)
    nginx.install(home, nginx.site(home, record))
    nginx.wait_until_served(home, record["hosts"][0], release)
    done = running.work(layout, app, counts=counts)
    mail.install(home, record)
    return done


def unhold(layout: Layout, app: str) -> Answer:
    """See running.unhold; the jobs that this node runs are due again."""
    done = running.unhold(layout, app)
    systemd.begin(marked(layout.app(app)))
    return done


def install(layout: Layout, *, debs: List[str], answers: List[str], timeout: float) -> Any:
    """See packages.install."""
    return packages.install(debs, answers, timeout)


def logs(layout: Layout, app: str, *, lines: int) -> Answer:
    """The last lines of an app's log."""
    return {"lines": journal.logs(layout.app(app).name, int(lines))}


def follow(layout: Layout, app: str) -> Any:
    """Say every line of an app's log from now on."""
    yield from journal.follow(layout.app(app).name)
    return {}


def drain(layout: Layout) -> Answer:
    """Tell balancers to give this node no more requests."""
    layout.in_service.unlink(missing_ok=True)
    return {}


def resume(layout: Layout) -> Answer:
    """Tell balancers that this node is up to date and takes requests."""
    layout.run.mkdir(parents=True, exist_ok=True)
    layout.in_service.touch()
    return {}


MACHINE_VERBS: Dict[str, Verb] = {
    **verbs.VERBS,
    **running.VERBS,
    **{verb.__name__: verb for verb in (survey, wheels, release, discard, forget, withdraw, prune, propose, check)},
    **{verb.__name__: verb for verb in (serve, unhold, run, jobs, install, logs, follow, drain, resume)},
    "status": status,
}


def main(begins: Callable[[], object] = lambda: None, lasts: Callable[[], object] = lambda: None) -> None:
    """Answer requests; `begins` is called before the first, `lasts` before one that may go on for as long as somebody wants."""
    os.umask(0o022)
    end_with_asker()
    connection = (
        began(os.getpid()) if os.environ.get("SUDO_USER") == SENDER else 0
    )  # the server has one; people may have others
    answer_requests(MACHINE_VERBS, Layout(Path("/"), SystemOwners()), connection, begins, lasts)


def locate() -> None:
    """Write nginx's files of all apps anew: an earlier set-up had others, a server for each app."""
    layout = Layout(Path("/"), SystemOwners())
    for name, record in releases.live_records(layout).items():
        nginx.put(layout.app(name).site, nginx.site(layout.app(name), record))
    for path in layout.sites.glob("*.conf"):
        path.unlink()


def boot() -> None:
    layout = Layout(Path("/"), SystemOwners())
    bring_back(layout)
    homes = [layout.app(name) for name in layout.names()]
    due = [unit for home in homes if not home.held.exists() for unit in marked(home)]
    systemd.begin([*due, *(unit for home in homes for unit in mail.listening(home))])
