"""gitdeploy as a service of a Debian machine: what systemd is told, and where commands find the home of the server."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import Refused

DEFAULTS = Path("/etc/default/gitdeploy")
UNIT = Path("/etc/systemd/system/gitdeploy.service")
HOME = Path("/var/lib/gitdeploy-server")
USER = "gitdeploy-server"
"""Not the user that a server logs in as on nodes: one machine may be both."""
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # it is not written there; the unit has others of its own

DEFAULTS_TEXT = """\
# Written by gitdeploy setup-server, which keeps what is said here. Where the server keeps everything, and where it listens
# (Twisted's endpoint strings). After a change: gitdeploy setup-server
GITDEPLOY_USER={user}
GITDEPLOY_HOME={home}
GITDEPLOY_SSH={ssh}
GITDEPLOY_HTTP={http}
"""
UNIT_TEXT = """\
# Written by gitdeploy setup-server; changes are lost with its next run. What may be set is in {defaults}.
[Unit]
Description=gitdeploy, a git-push deploy server
Documentation=man:git-push(1)
Wants=network-online.target
After=network-online.target
# It is tried for ever: what keeps it from starting may pass.
StartLimitIntervalSec=0

[Service]
Type=notify
User={user}
# What is installed; another one is another unit, and so the service is started anew after an upgrade.
Environment=GITDEPLOY_INSTALLED={installed}
ExecStart={python} -m gitdeploy --home {home} server --ssh {ssh} --http {http}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1s
# SIGTERM goes to the server alone: it ends what can be, finishes deploys past their commit point, and stops applications in order.
KillMode=mixed
TimeoutStopSec=330
TimeoutStartSec=600
LimitNOFILE=65536

AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
LockPersonality=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome={protect}
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
ReadWritePaths={home}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
UMask=0022

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Service:
    """A server as a service of `user`. `programs` are the interpreter that has gitdeploy, and whatever else it needs to be able
    to read; `installed` says which gitdeploy that is.
    """

    user: str
    home: Path
    ssh: str
    http: str
    programs: tuple[Path, ...]
    installed: str

    def defaults(self) -> str:
        """The text of /etc/default/gitdeploy. Raises Refused for what would be more than a word of it, or of the unit."""
        for text in (str(self.home), self.ssh, self.http, str(self.programs[0])):
            if not text.isprintable() or any(char in text for char in " \"'\\$%;"):
                raise Refused(f"{text!r} cannot stand in {DEFAULTS}; write it without spaces, quotes, \\, $, % and ;")
        return DEFAULTS_TEXT.format(user=self.user, home=self.home, ssh=self.ssh, http=self.http)

    def unit(self) -> str:
        """The text of gitdeploy.service. Where programs are in somebody's home, it can be read."""
        inside = any(within(path, HOMES) for path in self.programs)
        return UNIT_TEXT.format(
            user=self.user, defaults=DEFAULTS, home=self.home, ssh=self.ssh, http=self.http,
            python=self.programs[0], installed=self.installed,            protect="read-only" if inside else "yes",
        )  # fmt: skip


def settings(path: Path = DEFAULTS) -> Mapping[str, str]:
    """What /etc/default/gitdeploy says; empty where there is no service."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    rows = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in rows}


def listening(path: Path = UNIT) -> tuple[str, ...]:
    """The endpoints of the service that there is: those that systemd was told."""
    try:
        return tuple(re.findall(r" --(?:ssh|http) (\S+)", path.read_text(encoding="utf-8")))
    except OSError:
        return ()


def within(path: Path, tops: Iterable[Path]) -> Path | None:
    """The one of `tops` that a path is, or is in."""
    return next((top for top in tops if top == path or top in path.parents), None)


def fingerprint(packages: Iterable[Path], libraries: Iterable[str]) -> str:
    """Which gitdeploy these directories hold, with which libraries: another one after every upgrade that changes anything."""
    digest = hashlib.sha256("\n".join((sys.version, *sorted(libraries))).encode())
    for package in packages:
        for path in sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(os.fsencode(path.relative_to(package)) + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
