"""``setup-server``: makes this Debian machine one where gitdeploy runs as a service. Safe to repeat, also after an upgrade."""

from __future__ import annotations

import argparse
import errno
import pwd
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

import buildless

from .. import service
from ..errors import BadName, CommandFailed, Refused
from ..home import Home, give
from ..names import quoted
from ..runner import BASE_ENVIRON, Command
from ..service import Service
from .call import LocalCall, LocalSpec

TOOLS = {
    "git": "git",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
}
SYSTEM = 60.0  # seconds that a command of the system may take
START = 960.0  # and the start of the service, which a server that runs ends before: see TimeoutStopSec, TimeoutStartSec
SSH, HTTP = "tcp:2222", "tcp:8080"
RUNS = ("active", "activating", "reloading")  # of what `systemctl is-active` says: it has its ports, or is about to
LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
NODE_USER = "gitdeploy"
ELSEWHERE = (
    "install gitdeploy where everybody can read it (python3 -m venv /opt/gitdeploy), and run setup-server from there"
)
ENVIRON = {**BASE_ENVIRON, "PATH": f"{BASE_ENVIRON['PATH']}:/usr/sbin:/sbin"}
"""Also what `su` leaves out of root's path."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", metavar="DIR", type=Path)
    parser.add_argument("--ssh", metavar="ENDPOINT")
    parser.add_argument("--http", metavar="ENDPOINT")
    parser.add_argument("--user", metavar="NAME")


async def run(call: LocalCall) -> int:
    before = service.settings()
    wanted = chosen(call, before)
    files = {service.DEFAULTS: wanted.defaults(), service.UNIT: wanted.unit()}
    check_machine()
    check_home(call.home)
    check_programs(wanted)
    active = await says(call, "systemctl", "is-active", "gitdeploy.service") in RUNS
    await check_endpoints(call, wanted, service.listening() if active else ())
    changed = await user(call, wanted.user)
    changed |= make_home(call, wanted.user)
    await readable(call, wanted)
    for path, text in files.items():
        changed |= write(call, path, text)
    await system(call, "systemctl", "daemon-reload")
    if await says(call, "systemctl", "is-enabled", "gitdeploy.service") != "enabled":
        await system(call, "systemctl", "enable", "--quiet", "gitdeploy.service")
        changed = True
    if changed or not active:
        if active:
            call.say(
                "starting the server anew; applications on nodes go on, those of the embedded node are started again"
            )
        await start(call)
        if before.get("GITDEPLOY_HOME", str(wanted.home)) != str(wanted.home):
            call.say(
                f"its home was {before['GITDEPLOY_HOME']}; what is in that stays there, and is the server's no more"
            )
        call.say(f"gitdeploy runs: pushes on {wanted.ssh}, the embedded node's applications on {wanted.http}")
    else:
        call.say("nothing changed; gitdeploy runs")
    if not any(call.home.users.path.glob("[!.]*")):  # asking `users` would make the directory, as root
        call.say(f"nobody may push yet; run: {program()} keys:add NAME < id_ed25519.pub")
    return 0


def program() -> str:
    """How to call this gitdeploy."""
    return "gitdeploy" if shutil.which("gitdeploy") else str(Path(sys.executable).with_name("gitdeploy"))


def chosen(call: LocalCall, before: Mapping[str, str]) -> Service:
    """What was asked for now, or else before, or else the default. Raises BadName."""
    user = call.args.user or before.get("GITDEPLOY_USER") or service.USER
    if not LOGIN.fullmatch(user) or user in ("root", NODE_USER):
        raise BadName(
            f"{quoted(user)} cannot be the server's user: it is one of its own, not root and not {NODE_USER}, whom nodes"
            f" have; write such as {service.USER}"
        )
    packages = tuple(Path(str(one)).parent for one in (service.__file__, buildless.__file__))
    python = Path(sys.executable)
    return Service(
        user=user,
        home=call.home.path,
        ssh=call.args.ssh or before.get("GITDEPLOY_SSH") or SSH,
        http=call.args.http or before.get("GITDEPLOY_HTTP") or HTTP,
        programs=(python, python.resolve(), Path(sys.base_prefix), *packages),
        installed=service.fingerprint(packages, (f"{one.name} {one.version}" for one in distributions())),
    )


def check_machine() -> None:
    """Raises Refused where there can be no service, with what to do."""
    if not Path("/run/systemd/system").is_dir():
        raise Refused("systemd does not run here; start the server by hand: gitdeploy server")
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise Refused(f"the server needs more of Debian; run: apt-get install {' '.join(missing)}")


def check_home(home: Home) -> None:
    """Raises Refused for a directory that a service cannot have, or that is there for something else: it would be taken over."""
    hidden = service.within(home.path, (*service.HOMES, *service.TEMPORARY))
    if hidden:
        raise Refused(f"{home.path} is in {hidden}, which services do not see; take another: --home {service.HOME}")
    if home.run.parent != home.path:
        raise Refused(f"{home.path} is too long for the sockets in it; take a shorter one: --home {service.HOME}")
    if not home.path.exists() or home.config.is_file():
        return
    if not home.path.is_dir() or {path.name for path in home.path.iterdir()} - {home.run.name}:
        raise Refused(
            f"{home.path} holds something else than a server's files; take an empty or a new directory: --home"
        )


def check_programs(wanted: Service) -> None:
    """Raises Refused for what the service would not find; what its user may not read shows when he tries (`readable`)."""
    for path in wanted.programs:
        hidden = service.within(path, service.TEMPORARY)
        if hidden:
            raise Refused(f"{path} is in {hidden}, which services do not see; {ELSEWHERE}")


async def check_endpoints(call: LocalCall, wanted: Service, held: Sequence[str]) -> None:
    """Raises Refused if the server could not listen there: by listening. Ports that it has now (`held`) it will have again."""
    own = {where(endpoint) for endpoint in held}
    opened: list[Any] = []
    try:
        for name, endpoint in (("ssh", wanted.ssh), ("http", wanted.http)):
            if where(endpoint) not in own:
                opened.append(await listen(call.reactor, name, endpoint))
    finally:
        for port in opened:
            await maybeDeferred(port.stopListening)


def where(endpoint: str) -> str:
    """The port of ``tcp:2222:interface=127.0.0.1``, or what stands in its place."""
    return endpoint.partition(":")[2].partition(":")[0]


async def listen(reactor: Any, name: str, endpoint: str) -> Any:
    try:
        return await serverFromString(reactor, endpoint).listen(Factory())
    except CannotListenError as error:
        if error.socketError.errno != errno.EADDRINUSE:
            raise Refused(f"cannot listen on {endpoint}: {error.socketError}; choose another --{name}") from error
        advice = "let Debian's sshd listen elsewhere (Port in /etc/ssh/sshd_config), or " if error.port == 22 else ""
        raise Refused(
            f"something listens on port {error.port} already; {advice}choose another: setup-server --{name} tcp:PORT"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadName(f"--{name} {quoted(endpoint)} is no endpoint; write such as tcp:2222: {error}") from error


async def user(call: LocalCall, name: str) -> bool:
    """The server's own user; says whether it had to be made."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        argv = ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(call.home.path))
        await system(call, *argv, "--shell", "/usr/sbin/nologin", name)
        call.say(f"user {name}")
        return True
    return False


def make_home(call: LocalCall, name: str) -> bool:
    """The home, and all that is in it, is the server's; says whether that had to be changed."""
    entry, home = pwd.getpwnam(name), call.home
    home.make()
    changed = give(home.path, entry.pw_uid, entry.pw_gid)
    home.path.chmod(0o700)
    if changed:
        call.say(f"{home.path}: given to {name}")
    return changed


async def readable(call: LocalCall, wanted: Service) -> None:
    """Raises Refused if the server's user cannot run this gitdeploy."""
    python = str(wanted.programs[0])
    who = ("--reuid", wanted.user, "--regid", str(pwd.getpwnam(wanted.user).pw_gid), "--init-groups")
    argv = ("setpriv", *who, "--", python, "-m", "gitdeploy", "--version")
    try:
        await call.runner.run(Command(argv, ENVIRON, "/"), timeout=SYSTEM)
    except CommandFailed as error:
        raise Refused(f"{wanted.user} cannot run {python}; {ELSEWHERE}", *error.details) from error


def write(call: LocalCall, path: Path, text: str) -> bool:
    """Write a file if it has another text; says whether it had."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    call.say(f"{path}")
    return True


async def start(call: LocalCall) -> None:
    """Start the service, anew if it runs, and wait until it listens. Raises Refused with what it wrote."""
    try:
        await call.runner.run(Command(("systemctl", "restart", "gitdeploy.service"), ENVIRON), timeout=START)
    except CommandFailed as error:
        log = await says(call, "journalctl", "--unit", "gitdeploy.service", "--lines", "15", "--output", "cat")
        raise Refused(
            "the service does not start; see below, and: journalctl -u gitdeploy", *log.splitlines()
        ) from error


async def system(call: LocalCall, *argv: str) -> None:
    await call.runner.run(Command(argv, ENVIRON), timeout=SYSTEM)


async def says(call: LocalCall, *argv: str) -> str:
    """What a command writes, whatever its exit status."""
    output = await call.runner.run(Command(argv, ENVIRON), timeout=SYSTEM, check=False)
    return output.decode("utf-8", "replace").strip()


SPEC = LocalSpec(
    "setup-server", "let gitdeploy run as a service of this machine; safe to repeat", arguments, run, installs=True
)
