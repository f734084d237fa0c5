"""Directories of an app that another node of its environment keeps: mounted here by systemd, when somebody first looks in.

What is there before that is a mount of autofs, for which the other node need not answer: this one boots without it, the app
gets an error as long as it does not answer, and the directory as soon as it does.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Dict

from buildless.errors import NodeError
from buildless.node import systemd
from buildless.node.layout import AppLayout
from buildless.node.writing import write

NAME = "nfs"
OPTIONS = "vers=4.2,proto=tcp,hard,retry=0,nosuid,nodev,lookupcache=positive,acdirmin=1,acdirmax=5,_netdev"
UNNEEDED = ("rpcbind.socket", "rpcbind.service", "rpc-statd.service", "rpc-statd-notify.service")
"""What comes with Debian's packages for earlier versions of NFS, and listens to everybody."""
TEXTS = {
    "mount": """\
# Written by gitdeploy for the app {app}.
[Unit]
Description={app}: {where}, which {host} keeps
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Mount]
What={source}:{where}
Where={where}
Type=nfs4
Options={options}
TimeoutSec=30
LazyUnmount=yes
""",
    "automount": """\
# Written by gitdeploy for the app {app}.
[Unit]
Description={app}: {where}, which {host} keeps

[Automount]
Where={where}

[Install]
WantedBy=local-fs.target
""",
}


def install(home: AppLayout, host: str) -> None:
    """Have the directory of `host`, the address of the node that keeps it, at the same place here. Safe to repeat.

    Raises NodeError if it cannot be mounted.
    """
    address = ipaddress.ip_address(host)
    where = home.state / NAME
    told = {"app": home.name, "where": where, "host": host, "options": OPTIONS,
            "source": f"[{host}]" if address.version == 6 else host}  # fmt: skip
    changed = [write(path, TEXTS[kind].format(**told)) for kind, path in files(home).items()]
    mount, automount = files(home)["mount"].name, files(home)["automount"].name
    if any(changed):
        mask()
        systemd.reload()
        systemd.ask("stop", automount, mount, timeout=systemd.STOP)
    if systemd.quietly("is-active", "--quiet", automount).returncode:
        prepare(home, where)
        try:
            systemd.ask("enable", "--now", "--quiet", automount)
        finally:
            home.give_state()
    done = systemd.quietly("start", mount, timeout=systemd.STOP)
    if done.returncode:
        raise NodeError(f"{where} of {host} cannot be mounted; look at it on the node: journalctl -u '{mount}'")


def prepare(home: AppLayout, where: Path) -> None:
    """Make the directory to mount on. The app, which may have been live without it, can put nothing in its place meanwhile."""
    home.state.mkdir(parents=True, exist_ok=True)
    home.node.owners.take(str(home.state))
    home.state.chmod(0o700)
    if where.is_symlink() or (where.exists() and not where.is_dir()):
        home.give_state()
        raise NodeError(f"{where} is there and is no directory; have the application remove it")
    where.mkdir(exist_ok=True)


def remove(home: AppLayout) -> None:
    """Have the app's own directory again. Nothing there is fine."""
    there = [path for path in files(home).values() if path.exists()]
    if not there:
        return
    units = [path.name for path in files(home).values()]
    systemd.quietly("disable", "--quiet", files(home)["automount"].name)
    systemd.ask("stop", *reversed(units), timeout=systemd.STOP)
    for path in there:
        path.unlink()
    systemd.reload()
    systemd.quietly("reset-failed", *units)
    try:
        os.rmdir(home.state / NAME)  # it was the mount's, and is made anew by who needs it
    except OSError:
        pass


def files(home: AppLayout) -> Dict[str, Path]:
    """The unit files, by their kind."""
    name = str(home.state / NAME)[1:].replace("-", r"\x2d").replace("/", "-")  # systemd-escape(1)
    return {kind: home.node.units / f"{name}.{kind}" for kind in TEXTS}


def mask() -> None:
    """End what listens and is not needed, and have nothing start it again."""
    systemd.ask("mask", "--now", "--quiet", *UNNEEDED, timeout=systemd.STOP)
