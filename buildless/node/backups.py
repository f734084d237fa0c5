"""The verbs about what is in services: it is backed up, restored and cleared.

A backup is a file on the node before anybody gets it, and one that is to be restored is all there, and whole, before anything is
changed. So nothing hangs on how fast, or how long, somebody reads or writes; a connection that is lost loses nothing.
"""

from __future__ import annotations

import base64
import os
import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Mapping, Optional, Sequence, Tuple

from buildless.errors import NodeError
from buildless.node import accounts
from buildless.node.archive import Backup, Dump, write
from buildless.node.layout import AppLayout, Layout
from buildless.service import Account, Service

KEPT = 3  # backups that the server asked for by itself; earlier ones go
STALE = 86_400.0  # seconds after which a file of somebody who never came back goes
MOST = 1 << 20  # bytes of one piece

Answer = Dict[str, Any]


def backup(
    layout: Layout, app: str, *, services: List[str], about: Mapping[str, Any], keep: bool, since: float | None = None
) -> Answer:
    """Make a backup of these services, or of all. With `keep` it stays here, as only the latest of those do.

    The first one after `since`, POSIX seconds, stays, too: when what is live went live, and each attempt after that has made one.
    """
    home = layout.app(app)
    chosen = holding(home, services)
    home.make_backups()
    tidy(home)
    name = stamp(time.time()) if keep else f"sent-{secrets.token_hex(8)}"
    new = home.backups / f".{name}.new"
    try:
        with open(new, "xb") as file:
            os.chmod(new, 0o600)
            told = {**about, "key": home.name, "time": int(time.time())}
            manifest = write(file, told, [(service.name, dump(home, service, account)) for service, account in chosen])
            size = file.tell()
        new.rename(home.backup(name))
    finally:
        new.unlink(missing_ok=True)
    if keep:
        rotate(home, since)
    return {"file": name, "size": size, "services": manifest["services"]}


def dump(home: AppLayout, service: Service, account: Account) -> Dump:
    def work(out: BinaryIO) -> Optional[Sequence[str]]:
        return service.dump(home, account, out)

    return work


def holding(home: AppLayout, names: List[str]) -> List[Tuple[Service, Account]]:
    """The accounts of services that keep something: those that are named, or all."""
    there = accounts.kept(home)
    for name in names:
        if not accounts.service_called(name).keeps:
            raise NodeError(f"{name} keeps nothing that could be backed up; leave it out")
        accounts.read(home, name)
    found = [(accounts.service_called(name), account) for name, account in there.items() if not names or name in names]
    found = [(service, account) for service, account in found if service.keeps]
    if not found:
        raise NodeError(f"{home.name} has no service here that keeps anything; write services: into app.yaml, and push")
    return found


def backups(layout: Layout, app: str) -> Answer:
    """The backups that are kept here, oldest first."""
    home = layout.app(app)
    there = kept_here(home)
    return {"backups": [{"file": path.stem, "size": path.stat().st_size} for path in there]}


def backup_read(layout: Layout, app: str, *, file: str, offset: int) -> Answer:
    """A piece of a backup, in base64; empty at its end."""
    path = layout.app(app).backup(file)
    try:
        with open(path, "rb") as opened:
            opened.seek(int(offset))
            return {"data": base64.b64encode(opened.read(MOST)).decode()}
    except FileNotFoundError as error:
        raise NodeError(f"the backup {file} is not there any more; make it again: backup") from error


def backup_write(layout: Layout, app: str, *, file: str | None, offset: int, data: str) -> Answer:
    """Take a piece of a backup that somebody sends; with `file` None it is the first one. Returns the file's name."""
    home = layout.app(app)
    if file is None:
        home.make_backups()
        tidy(home)
        file = f"got-{secrets.token_hex(8)}"
        home.backup(file).touch(mode=0o600, exist_ok=False)
    path = passing(home, file)
    try:
        with open(path, "r+b") as opened:
            opened.seek(int(offset))
            opened.truncate()
            opened.write(base64.b64decode(data, validate=True))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return {"file": file}


def backup_remove(layout: Layout, app: str, *, file: str) -> Answer:
    passing(layout.app(app), file).unlink(missing_ok=True)
    return {}


def passing(home: AppLayout, file: str) -> Path:
    """A backup on its way to or from somebody. Those that are kept are nobody's to change."""
    path = home.backup(file)
    if not file.startswith(("got-", "sent-")):
        raise NodeError(f"the backup {file} is kept, and is not changed; see: backups")
    return path


def restore(layout: Layout, app: str, *, file: str, of: str, services: List[str]) -> Answer:
    """Put what is in a backup of the app called `of` in the place of what is there. All of it is loaded beside that first."""
    home = layout.app(app)
    if not home.backup(file).is_file():
        raise NodeError(f"there is no backup {file} of {app} here; see: backups")
    with Backup(home.backup(file)) as backup:
        manifest = backup.manifest
        if manifest.get("app") != of:
            raise NodeError(f"that is a backup of {manifest.get('app')}, not of {of}; nothing was changed")
        if missing := [name for name in services if name not in backup.services]:
            raise NodeError(
                f"the backup has no {', '.join(missing)}, only {', '.join(backup.services)}; nothing was changed"
            )
        chosen = holding(home, services or backup.services)
        replace_all(home, [(service, account, backup.open(service.name)) for service, account in chosen])
    return {"services": [service.name for service, _ in chosen], "time": manifest.get("time")}


def clear(layout: Layout, app: str, *, services: List[str]) -> Answer:
    """Leave nothing in these services."""
    home = layout.app(app)
    chosen = [(accounts.service_called(name), accounts.read(home, name)) for name in services]
    replace_all(home, [(service, account, None) for service, account in chosen])
    return {}


def replace_all(home: AppLayout, chosen: List[Tuple[Service, Account, BinaryIO | None]]) -> None:
    """Load all beside what is there, then swap all, then drop what was there.

    First is swapped what may fail in that: nothing has changed then.
    """
    with ExitStack() as left:
        for service, account, dumped in chosen:
            left.callback(service.drop, home, account)
            service.load(home, account, dumped)
        swapped: List[str] = []
        for service, account, _ in sorted(chosen, key=lambda one: one[0].late):
            try:
                service.swap(home, account)
            except (NodeError, OSError) as error:
                if not swapped:
                    raise
                raise NodeError(
                    f"{service.name}: {error}; {', '.join(swapped)} {'was' if len(swapped) == 1 else 'were'} replaced before that,"
                    " the rest was not; do it again when that is mended",
                    *getattr(error, "details", ()),
                ) from error
            swapped.append(service.name)


def stamp(now: float) -> str:
    """The name of a backup that is kept.

    >>> stamp(1795550574.25)
    '20261124T200254.250Z'
    """
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}.{int(now * 1000) % 1000:03}Z"


def kept_here(home: AppLayout) -> List[Path]:
    """Those that are kept, oldest first."""
    return sorted(home.backups.glob("[0-9]*.backup"), key=lambda path: path.stem)


def rotate(home: AppLayout, since: float | None) -> None:
    """Remove all but the latest of what is kept, and the first one after `since`."""
    kept = kept_here(home)
    first = next((path for path in kept if since is not None and path.stem >= stamp(since)), None)
    for path in kept[:-KEPT]:
        if path != first:
            path.unlink(missing_ok=True)


def tidy(home: AppLayout) -> None:
    """Remove what nobody came back for."""
    for path in [*home.backups.glob("sent-*.backup"), *home.backups.glob("got-*.backup"), *home.backups.glob(".*.new")]:
        if path.stat().st_mtime < time.time() - STALE:
            path.unlink(missing_ok=True)


BACKUP_VERBS = {
    verb.__name__: verb for verb in (backup, backups, backup_read, backup_write, backup_remove, restore, clear)
}
