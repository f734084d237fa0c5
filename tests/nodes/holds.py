"""What is laid on a node so that a deploy can be stopped in the middle of a verb, of rsync, of a package, of an application.

A file below /var/lib/faults says where to wait, as long as it is there; ``reached`` appears beside it when somebody waits.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from .machines import Node

HOLDS = "/var/lib/faults"
STATE = "/var/lib/apps/shop"
PACKAGES = 20  # how many there are to install
AGENT = """\
#!/usr/bin/python3 -I
# The node's side of a deploy, which waits in VERB at the first EVENT (Python's audit events) if there is a file "VERB EVENT".
import os, sys, time
sys.path.append("/usr/lib/gitdeploy")
from buildless.node import machine

under_way = None

def held(name, work):
    def run(*args, **kwargs):
        global under_way
        under_way = name
        try:
            return work(*args, **kwargs)
        finally:
            under_way = None
    return run

def look(event, args):
    global under_way
    if under_way and os.path.exists(f"/var/lib/faults/{under_way} {event}"):
        hold, under_way = f"/var/lib/faults/{under_way} {event}", None
        open("/var/lib/faults/reached", "w").close()
        while os.path.exists(hold):
            time.sleep(0.02)

machine.MACHINE_VERBS.update({name: held(name, work) for name, work in machine.MACHINE_VERBS.items()})
sys.addaudithook(look)
machine.main()
"""
RSYNC = """\
#!/bin/sh
if [ -e /var/lib/faults/rsync ]; then touch /var/lib/faults/reached; fi
while [ -e /var/lib/faults/rsync ]; do sleep 0.05; done
exec /usr/bin/rsync.real "$@"
"""
POSTINST = """\
#!/bin/sh
[ "$1" = configure ] || exit 0
while [ -e /var/lib/faults/package ]; do touch /var/lib/faults/reached; sleep 0.05; done
"""
PREPARE = f"""\
set -e
[ -e /usr/bin/rsync.real ] || mv /usr/bin/rsync /usr/bin/rsync.real
mkdir -p {HOLDS}
cd {HOLDS} && tar -x && chmod 777 . && mv rsync-held /usr/bin/rsync && mv agent-held /usr/lib/gitdeploy/node
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*
echo "deb [trusted=yes] file:{HOLDS}/packages ./" >/etc/apt/sources.list
apt-get -qq update
"""


def prepare(nodes: list[Node]) -> None:
    """Lay all of it on nodes. Debian's packages are out of reach afterwards: those that are installed are our own."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        for program, text in (("rsync-held", RSYNC), ("agent-held", AGENT)):
            (top / program).write_text(text)
            (top / program).chmod(0o755)
        packages(top)
        bundle = subprocess.run(("tar", "-c", "-C", name, "."), capture_output=True, check=True, timeout=30).stdout
    for node in nodes:
        node.ssh("sh", "-c", PREPARE, stdin=bundle)


def packages(top: Path) -> None:
    """Packages fault-1, fault-2, ..., whose installation can be held up, as a repository."""
    (top / "packages").mkdir()
    index = []
    for number in range(1, PACKAGES + 1):
        control = top / "deb" / "DEBIAN"
        control.mkdir(parents=True, exist_ok=True)
        fields = (
            f"Package: fault-{number}\nVersion: 1\nArchitecture: all\nMaintainer: Alice <alice@example.com>\n"
            "Description: it takes as long as it is told to\n"
        )
        (control / "control").write_text(fields)
        (control / "postinst").write_text(POSTINST)
        (control / "postinst").chmod(0o755)
        file = top / "packages" / f"fault-{number}.deb"
        subprocess.run(("dpkg-deb", "-Znone", "-b", top / "deb", file), check=True, capture_output=True, timeout=30)
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        index.append(f"{fields}Filename: ./{file.name}\nSize: {len(data)}\nSHA256: {digest}\n")
    (top / "packages" / "Packages").write_text("\n".join(index))


class Hold:
    """One place to wait at, on one node: ``boot`` and ``check`` in the app, all others in what is laid on the node."""

    def __init__(self, node: Node, where: str) -> None:
        directory = STATE if where in ("boot", "check") else HOLDS
        self.file = node.root / directory[1:] / (f"hold-{where}" if directory == STATE else where)
        self.reached = self.file.with_name("reached")

    def begin(self) -> None:
        self.reached.unlink(missing_ok=True)
        self.file.touch()

    def end(self) -> None:
        self.file.unlink(missing_ok=True)
        self.reached.unlink(missing_ok=True)
