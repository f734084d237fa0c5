"""The command line: ``gitdeploy server`` and, on the server's own machine, the commands that ssh has, too."""

from __future__ import annotations

import argparse
import getpass
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from buildless import notify

from . import __version__, config, control, service
from .errors import GitdeployError
from .home import Home

if TYPE_CHECKING:
    from .develop.call import DevelopSpec
    from .local.call import LocalSpec
    from .ssh.commands.call import CommandSpec

FILES = 65536
HOME = "~/.local/share/gitdeploy"


def parser() -> argparse.ArgumentParser:
    """The options and, for --help, the commands."""
    from .develop.table import DEVELOP
    from .local.table import LOCAL
    from .ssh.commands.table import COMMANDS

    def listed(specs: Iterable[CommandSpec | LocalSpec | DevelopSpec]) -> str:
        return "\n".join(f"  {spec.name:12} {spec.summary}" for spec in specs)

    everywhere = (
        f"  {'server':12} run the server\n{listed(spec for spec in COMMANDS.values() if spec.name not in DEVELOP)}"
    )
    anywhere = f"for whoever writes an application, on any machine:\n{listed(DEVELOP.values())}"
    here = f"on the server's own machine only:\n{listed(LOCAL.values())}"
    made = argparse.ArgumentParser(
        prog="gitdeploy",
        description="A git-push deploy server for Debian machines.",
        epilog=f"commands:\n{everywhere}\n\nThey work over ssh, too: ssh -p PORT deploy@HOST COMMAND\n\n{here}\n\n{anywhere}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"gitdeploy {__version__}")
    made.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        help=f"the server's directory (default: $GITDEPLOY_HOME, or that of the service, or {HOME})",
    )
    made.add_argument("command", nargs="?")
    made.add_argument("args", nargs=argparse.REMAINDER)
    return made


def default_home(command: str) -> Path:
    """The home that is meant where none is named: the environment's, or that of the service of this machine (setup-server)."""
    said = os.environ.get("GITDEPLOY_HOME") or service.settings().get("GITDEPLOY_HOME")
    return Path(said or (service.HOME if command == "setup-server" else HOME)).expanduser()


def become(home: Home) -> None:
    """What root types is done as the user whose home it is, so that the server can work with what it leaves there."""
    owner = home.owner()
    if owner is not None and os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def server_parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="gitdeploy server", description="Run the server until SIGTERM or Ctrl-C.")
    made.add_argument("--home", type=Path, metavar="DIR", default=argparse.SUPPRESS, help="the server's directory")
    made.add_argument("--ssh", default="tcp:2222", metavar="ENDPOINT", help="where to take pushes (default: tcp:2222)")
    made.add_argument(
        "--http", default="tcp:8080", metavar="ENDPOINT", help="where applications answer (default: tcp:8080)"
    )
    return made


def serve(home: Home, ssh: str, http: str) -> int:
    """Run a server on `home`."""
    from twisted.internet import reactor

    from .server import Server, run

    become(home)
    os.umask(0o022)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, FILES), most))  # every visitor takes up to two descriptors
    home.make()
    home.take()
    settings = config.load(home.config)
    log_to(sys.stderr)
    server = Server(reactor, home, settings, ssh, http)
    server.take(settings)
    status = run(reactor, server, say)
    home.leave()
    return status


def say(line: str) -> None:
    """Print that the server is ready, and tell systemd if it started it (sd_notify(3))."""
    print(line, flush=True)
    address = os.environ.pop("NOTIFY_SOCKET", None)
    if address is not None and line.startswith("ready "):
        notify.send(address, b"READY=1")


def log_to(stream: TextIO) -> None:
    """Send the log to `stream`: of Twisted's own chatter only what is wrong."""
    from twisted.logger import (
        FilteringLogObserver,
        LogLevel,
        LogLevelFilterPredicate,
        globalLogBeginner,
        textFileLogObserver,
    )

    levels = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    levels.setLogLevelForNamespace("gitdeploy", LogLevel.info)
    levels.setLogLevelForNamespace("gitdeploy.ssh.session", LogLevel.warn)
    levels.setLogLevelForNamespace("gitdeploy.ssh.endpoint", LogLevel.warn)
    levels.setLogLevelForNamespace("gitdeploy.ssh.endpoint.Transport", LogLevel.critical)
    observer = FilteringLogObserver(textFileLogObserver(stream), [levels])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)


def command(home: Home, name: str, args: list[str], stdin: TextIO) -> int:
    """Run a command: by the server if one runs on `home`, else here if it needs only files; those of `local` and `develop` here."""
    from .develop.process import run_develop
    from .develop.table import DEVELOP
    from .local.process import run_local
    from .local.table import LOCAL
    from .offline import run_offline
    from .ssh.commands.table import find

    if name in DEVELOP:
        return run_develop(DEVELOP[name], args)
    if name in LOCAL:
        return run_local(home, LOCAL[name], args)
    become(home)
    spec = find(name)
    options = spec.parser().read(args)
    text = stdin.read() if spec.reads(options) else ""
    source = stdin.buffer if spec.takes(options) else None
    status = control.ask(home.control, getpass.getuser(), [name, *args], text, sys.stdout, sys.stderr, source)
    if status is not None:
        return status
    return run_offline(home, spec, args, text)


def main(argv: list[str] | None = None) -> int:
    """The entry point; returns the exit status."""
    from .ssh.commands.call import HowTo

    options = parser().parse_args(argv)
    if options.command is None:
        print("gitdeploy: there is no command; to see what there is: gitdeploy --help", file=sys.stderr)
        return 2
    options.home = options.home or default_home(options.command)
    try:
        if options.command == "server":
            server = server_parser().parse_args(options.args)
            return serve(Home(getattr(server, "home", options.home)), server.ssh, server.http)
        return command(Home(options.home), options.command, options.args, sys.stdin)
    except HowTo as asked:
        print(asked)
        return 0
    except GitdeployError as error:
        for line in (str(error), *error.details):
            print(f"gitdeploy: {line}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
