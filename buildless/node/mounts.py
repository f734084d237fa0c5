"""Directories of an app that another node of its environment keeps: mounted here by systemd, when somebody first looks in.

Each is called after the address of the node that keeps it, on that node, too: a release that has another one does not get in the
way of the one that is live. What is there before it is mounted is a mount of autofs, for which the other node need not answer: this
one boots without it, the app gets an error as long as it does not answer, and the directory as soon as it does.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Collection, Dict, List

from buildless.errors import NodeError
from buildless.node import systemd
from buildless.node.layout import AppLayout
from buildless.node.writing import write

HERE = "here"
"""What the directory is called that this node keeps."""
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
What={source}
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
    """Have the directory that the node with the address `host` keeps at the place that is called after it. Safe to repeat.

    Raises NodeError if it cannot be mounted.
    """
    address = ipaddress.ip_address(host)
    where = home.shared / host
    source = f"[{host}]" if address.version == 6 else host
    told = {"app": home.name, "where": where, "host": host, "options": OPTIONS,
            "source": f"{source}:{home.shared / HERE}"}  # fmt: skip
    changed = [write(path, TEXTS[kind].format(**told)) for kind, path in files(home, host).items()]
    mount, automount = (files(home, host)[kind].name for kind in ("mount", "automount"))
    if any(changed):
        mask()
        systemd.reload()
        systemd.ask("stop", automount, mount, timeout=systemd.STOP)
    if systemd.quietly("is-active", "--quiet", automount).returncode:
        make_top(home)
        if where.is_symlink():
            where.unlink()  # this node had that address before
        where.mkdir(exist_ok=True)
        systemd.ask("enable", "--now", "--quiet", automount)
    done = systemd.quietly("start", mount, timeout=systemd.STOP)
    if done.returncode:
        raise NodeError(f"{where} cannot be mounted; look at it on the node: journalctl -u '{mount}'")


def make_top(home: AppLayout) -> None:
    """Make the directory that they all are in. Nobody but root can put anything else there."""
    home.shared.mkdir(parents=True, exist_ok=True)
    home.node.owners.show(home.name, home.shared)


def remain(home: AppLayout, hosts: Collection[str]) -> None:
    """Have nothing mounted but what these nodes keep."""
    for host in mounted(home):
        if host not in hosts:
            remove(home, host)


def remove(home: AppLayout, host: str) -> None:
    """Have that of one node mounted no more. Nothing there is fine."""
    there = [path for path in files(home, host).values() if path.exists()]
    if not there:
        return
    units = [path.name for path in files(home, host).values()]
    systemd.quietly("disable", "--quiet", files(home, host)["automount"].name)
    systemd.ask("stop", *reversed(units), timeout=systemd.STOP)
    for path in there:
        path.unlink()
    systemd.reload()
    systemd.quietly("reset-failed", *units)
    try:
        (home.shared / host).rmdir()
    except OSError:
        pass


def mounted(home: AppLayout) -> List[str]:
    """The addresses of the nodes that something of the app is mounted from."""
    before, after = unit(home, ""), ".automount"
    found = [path.name for path in home.node.units.glob("*" + after)]
    return [name[len(before) : -len(after)] for name in found if name.startswith(before)]


def files(home: AppLayout, host: str) -> Dict[str, Path]:
    """The unit files, by their kind."""
    return {kind: home.node.units / f"{unit(home, host)}.{kind}" for kind in TEXTS}


def unit(home: AppLayout, host: str) -> str:
    """The name of the units, which is that of the place (systemd-escape(1)); nothing in an address needs it."""
    return str(home.shared)[1:].replace("-", r"\x2d").replace("/", "-") + "-" + host


def mask() -> None:
    """End what listens and is not needed, and have nothing start it again."""
    systemd.ask("mask", "--now", "--quiet", *UNNEEDED, timeout=systemd.STOP)
