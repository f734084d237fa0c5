"""nginx's file of an app, the lines of its locations: tested beside all others before it counts, put back if it does not work."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping

from buildless.errors import NodeError
from buildless.node import request, systemd
from buildless.node.layout import AppLayout, Layout
from buildless.node.writing import write
from buildless.values import ANY, hostname, location, split_location

TIMEOUT = 30  # seconds for a test of the configuration
SERVED = 10.0  # seconds until nginx serves what it was told
BODY = 20_000  # bytes of an answer that are looked at
STAMP = re.compile(r"^(nginx: )?([0-9/]+ [0-9:]+ )?\[\w+\] ([0-9]+#[0-9]+: )?")  # what nginx begins its lines with
TWICE = re.compile(
    r'conflicting parameter "([^"]*)" in .*/gitdeploy/'
)  # what nginx says of a location that is there twice


def site(app: AppLayout, record: Mapping[str, Any]) -> str:
    """The text of an app's file: a line for each location of its live release, as nginx looks them up (conf.d/gitdeploy.conf)."""
    try:
        keys = [key(one) for one in record["hosts"]]
    except ValueError as error:
        raise NodeError(str(error)) from error
    if not keys:
        raise NodeError(f"{app.name} has no host name; deploy it again")
    lines = [f"{one} {app.name};\n" for one in dict.fromkeys(keys)]
    return f"# Written by gitdeploy for the app {app.name}; changes are lost with its next deploy.\n{''.join(lines)}"


def key(text: str) -> str:
    """What nginx looks a location up by: ``example.com/blog``, ``example.com/``. Raises ValueError.

    >>> key("example.com"), key(ANY)
    ('example.com/', '*/')
    """
    found = ANY if text == ANY else location(text)
    return found if "/" in found else f"{found}/"


def propose(app: AppLayout, record: Mapping[str, Any]) -> None:
    """Test what `site` makes, beside the files of all other apps, where nobody sees it. Nothing to do if it is there already."""
    text = site(app, record)
    if not is_installed(app, text):
        test(app, text)


def is_installed(app: AppLayout, text: str | None) -> bool:
    try:
        return app.site.read_text(encoding="utf-8") == text
    except FileNotFoundError:
        return text is None


def test(app: AppLayout, text: str | None) -> None:
    """Have nginx read a copy of its configuration (all links) in which only this app's file is another one, or none.

    nginx takes the paths of includes relative to the file that it is told to read; ``gitdeploy/*.map`` is such a one.
    """
    with tempfile.TemporaryDirectory(prefix="gitdeploy-nginx-") as name:
        copy = Path(name)
        for path in app.node.nginx.iterdir():
            if path != app.node.sites:
                (copy / path.name).symlink_to(path)
        sites = copy / app.node.sites.name
        sites.mkdir()
        for path in app.node.sites.glob("*.map"):
            if path != app.site:
                (sites / path.name).symlink_to(path)
        if text is not None:
            (sites / app.site.name).write_text(text, encoding="utf-8")
        problems = complaints(copy / "nginx.conf")
    if problems:
        raise NodeError(f"nginx does not take the configuration of {app.name}: {problems[0]}", *problems)


def complaints(configuration: Path) -> List[str]:
    """What nginx has against a configuration; empty if it would run with it."""
    done = subprocess.run(
        ("nginx", "-t", "-q", "-c", str(configuration)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT, check=False,
    )  # fmt: skip
    lines = [STAMP.sub("", line) for line in done.stdout.splitlines() if line.strip()]
    if done.returncode == 0:
        return []
    for line in lines:
        if twice := TWICE.search(line):
            return [f"{twice[1].rstrip('/')} belongs to another app; take it out of the locations in app.yaml", *lines]
    return lines or [f"nginx -t ended with exit code {done.returncode}"]


def install(app: AppLayout, text: str | None) -> None:
    """Put the file in place, or take it away, and have nginx read it. What was there comes back if nginx does not take it."""
    if is_installed(app, text):
        return
    test(app, text)
    before = app.site.read_text(encoding="utf-8") if app.site.exists() else None
    put(app.site, text)
    old = workers(app.node)
    try:
        systemd.ask("reload-or-restart", "nginx.service")
    except NodeError:
        put(app.site, before)
        systemd.quietly("reload-or-restart", "nginx.service")
        raise
    deadline = time.monotonic() + SERVED
    while any(accepts(pid) for pid in old) and time.monotonic() < deadline:
        time.sleep(0.01)


def workers(node: Layout) -> List[str]:
    """The processes that accept connections now. After a reload they go on for a tenth of a second, beside the new ones."""
    try:
        master = (node.root / "run" / "nginx.pid").read_text(encoding="ascii").strip()
        return Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()
    except OSError:
        return []


def accepts(pid: str) -> bool:
    """Whether a worker still accepts connections: its title says when it is shutting down."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return bool(title) and b"shutting down" not in title


def put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, text)


def ask(app: AppLayout, release: str, host: str, path: str, timeout: float) -> Dict[str, Any]:
    """Ask nginx for `path` as whoever would ask `host`, but answered by `release`, which nobody else sees yet."""
    fields = {"Host": hostname(host), "Accept": "text/plain, */*", "X-Gitdeploy-Release": f"{app.name}/{release}"}
    began = time.monotonic()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(app.node.check_socket))
            status, body = request.get(connection, path, fields, BODY, timeout)
    except (TimeoutError, socket.timeout) as error:  # one and the same only since Python 3.10
        raise NodeError(f"{path} did not answer within {timeout:g} s") from error
    except OSError as error:
        raise NodeError(f"{path} was not answered: {error}; look at nginx on the node") from error
    return {"status": status, "seconds": round(time.monotonic() - began, 4), "body": body.decode("utf-8", "replace")}


def wait_until_served(app: AppLayout, where: str, release: str) -> None:
    """Ask nginx, as a visitor of a location on this machine, which release it serves, until it is this one."""
    deadline = time.monotonic() + SERVED
    said = "nothing"
    while time.monotonic() < deadline:
        said = served(where)
        if said == release:
            return
        time.sleep(0.02)
    raise NodeError(f"nginx serves {said} for {where}, not {release}; look at nginx on the node, then push again")


def served(where: str) -> str:
    host, path = split_location(where)
    try:
        with socket.create_connection(("127.0.0.1", 80), 2) as connection:
            status, body = request.get(connection, f"{path}/.gitdeploy/release", {"Host": host}, 100, 2)
    except OSError as error:
        return str(error)
    return body.decode("utf-8", "replace").strip() if status == 200 else f"status {status}"


def is_well(node: Layout) -> bool:
    """Whether nginx runs, and would with the files that are there."""
    if shutil.which("nginx") is None or systemd.quietly("is-active", "--quiet", "nginx.service").returncode != 0:
        return False
    return not complaints(node.nginx / "nginx.conf")
