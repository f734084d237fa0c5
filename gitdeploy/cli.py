"""The command line: ``gitdeploy server`` and, on the server's own machine, the commands that ssh has, too."""

from __future__ import annotations

import argparse
import getpass
import os
import resource
import sys
from pathlib import Path
from typing import TextIO

from . import __version__, config, control
from .errors import GitdeployError
from .home import Home

FILES = 65536
HOME = "~/.local/share/gitdeploy"


def parser() -> argparse.ArgumentParser:
    """The options and, for --help, the commands."""
    from .ssh.commands.table import COMMANDS

    commands = "\n".join(f"  {spec.name:12} {spec.summary}" for spec in COMMANDS.values())
    made = argparse.ArgumentParser(
        prog="gitdeploy",
        description="A git-push deploy server for Debian machines.",
        epilog=f"commands:\n  {'server':12} run the server\n{commands}\n\nThey work over ssh, too: ssh -p PORT deploy@HOST COMMAND",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"gitdeploy {__version__}")
    made.add_argument(
        "--home", type=Path, metavar="DIR", help=f"the server's directory (default: $GITDEPLOY_HOME or {HOME})",
        default=Path(os.environ.get("GITDEPLOY_HOME") or HOME).expanduser(),
    )  # fmt: skip
    made.add_argument("command")
    made.add_argument("args", nargs=argparse.REMAINDER)
    return made


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

    os.umask(0o022)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, FILES), most))  # every visitor takes up to two descriptors
    home.make()
    home.take()
    settings = config.load(home.config)
    log_to(sys.stderr)
    status = run(reactor, Server(reactor, home, settings, ssh, http), lambda line: print(line, flush=True))
    home.leave()
    return status


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
    """Run a command: by the server if one runs on `home`, else here if it needs only files."""
    from .offline import run_offline
    from .ssh.commands.table import find

    spec = find(name)
    spec.parser().parse_args(args)
    text = stdin.read() if name == "keys:add" else ""
    status = control.ask(home.control, getpass.getuser(), [name, *args], text, sys.stdout, sys.stderr)
    if status is not None:
        return status
    return run_offline(home, spec, args, text)


def main(argv: list[str] | None = None) -> int:
    """The entry point; returns the exit status."""
    options = parser().parse_args(argv)
    try:
        if options.command == "server":
            server = server_parser().parse_args(options.args)
            return serve(Home(getattr(server, "home", options.home)), server.ssh, server.http)
        return command(Home(options.home), options.command, options.args, sys.stdin)
    except GitdeployError as error:
        for line in (str(error), *error.details):
            print(f"gitdeploy: {line}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
