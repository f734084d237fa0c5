"""nfs: a directory that all nodes of an environment share: one keeps it, the others mount it (buildless/node/mounts.py)."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List

from buildless.errors import NodeError
from buildless.node import firewall, mounts, renewal, systemd, tool
from buildless.node.writing import write
from buildless.service import Account
from buildless.services.files import Files, delete

if TYPE_CHECKING:
    from buildless.node.layout import AppLayout

PORT = 2049  # of version 4, which needs no other (RFC 7530)
SECONDS = 10.0
UNIT = "nfs-server.service"
CONFIGURATION = """\
# Written by gitdeploy: version 4 alone. After a start clients get so many seconds to say what they had open and locked.
[nfsd]
vers2=n
vers3=n
vers4=y
udp=n
lease-time=15
grace-time=15
"""


class Nfs(Files):
    """For an environment with one node it is a directory as `files` is, and nothing else."""

    directory = mounts.HERE
    variable = "CONFIG_NFS"
    shared = True
    late = 2  # once it has begun it goes forward
    shared_debs = ("nfs-kernel-server",)
    mount_debs = ("nfs-common",)
    user = "root"

    def environ(self, account: Account, state: str) -> Dict[str, str]:
        """It is at the same place on all nodes, and at another one when another node keeps it."""
        states, app = os.path.split(state)
        return {self.variable: f"{states}/.shared/{app}/{account.host or mounts.HERE}"}

    def top(self, home: AppLayout) -> Path:
        return home.shared

    def give(self, home: AppLayout) -> None:
        mounts.make_top(home)

    def install(self, home: AppLayout, account: Account) -> int:
        former = home.state / "nfs"
        if not self.place(home).exists() and former.is_dir() and any(former.iterdir()):
            there = self.place(home)
            advice = f"on the node: mkdir -p {there.parent} && mv {former} {there}"
            raise NodeError(f"what {home.name} keeps is in {former}, as it once was; {advice}")
        self.finish(home)
        super().install(home, account)
        if account.host:
            link(home, account.host)
        others = [one for one in account.clients if one != account.host] if account.host else []
        if others:
            firewall.install(home.node, [replace(account, port=PORT)])
            mounts.mask()
            files = {home.node.root / "etc/nfs.conf.d/gitdeploy.conf": CONFIGURATION}
            if renewal.written(home.node, UNIT, files) or not serves():
                start(home)
        export(home, others)
        if not others:
            return 0
        self.answers(home, others)
        return PORT

    def is_finished(self, home: AppLayout, account: Account) -> bool:
        swapped = not self.going(home).exists() and not self.gone(home).exists()
        return swapped and not renewal.is_due(home.node, UNIT) and super().is_finished(home, account)

    def check(self, home: AppLayout, account: Account) -> None:
        super().check(home, account)
        others = [one for one in account.clients if one != account.host] if account.host else []
        if others:
            self.answers(home, others)

    def answers(self, home: AppLayout, others: Iterable[str]) -> None:
        """Raises NodeError unless it is there for these nodes."""
        if not serves():
            raise NodeError(f"{UNIT} does not answer; look at it on the node: journalctl -u {UNIT}")
        lines = [line.split() for line in tool.run(("exportfs", "-s")).splitlines()]
        there = {client.partition("(")[0] for path, client, *_ in lines if path == str(self.place(home))}
        if lacking := [one for one in others if one not in there]:
            raise NodeError(
                f"{self.place(home)} is not exported to {', '.join(lacking)}; deploy the app again: redeploy"
            )

    def swap(self, home: AppLayout, account: Account) -> None:
        """The directory stays the same one, which nodes have mounted; what is in it goes, and what is to be in it comes."""
        if not os.path.lexists(self.place(home)):
            super().swap(home, account)
            return
        with opened(self.place(home)):
            self.going(home).mkdir(mode=0o700)
        self.finish(home)

    def finish(self, home: AppLayout) -> None:
        """Go on with a swap to its end, wherever it was interrupted: that it goes forward is settled when it begins.

        How far it has come is told by the name of the directory that what was there goes to.
        """
        going, gone = self.going(home), self.gone(home)
        if going.exists():
            move(self.place(home), going, gone)
            going.rename(gone)
        if gone.exists():
            if self.beside(home).exists():
                move(self.beside(home), self.place(home), gone)
            delete(gone)

    def going(self, home: AppLayout) -> Path:
        """Where what was in it goes."""
        return self.top(home).parent / f".going-{home.name}"

    def gone(self, home: AppLayout) -> Path:
        """The same when all of it is there, until it is deleted."""
        return self.top(home).parent / f".gone-{home.name}"

    def drop(self, home: AppLayout, account: Account) -> None:
        self.finish(home)
        super().drop(home, account)

    def remove(self, home: AppLayout, account: Account) -> None:
        export(home, ())
        super().remove(home, account)
        if account.host:
            (home.shared / account.host).unlink(missing_ok=True)


@contextmanager
def opened(*paths: Path) -> Iterator[List[int]]:
    """Directories as descriptors: what the app puts in their places meanwhile is not looked at."""
    held: List[int] = []
    try:
        for path in paths:
            held.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))
        yield held
    finally:
        for one in held:
            os.close(one)


def move(source: Path, target: Path, aside: Path) -> None:
    """Move all that is in one directory to another; what the app has made there meanwhile, of the same name, goes `aside`."""
    with opened(source, target) as (out, into):
        for name in os.listdir(out):
            try:
                os.rename(name, name, src_dir_fd=out, dst_dir_fd=into)
            except FileNotFoundError:
                continue  # the app has deleted it meanwhile
            except OSError:
                os.rename(name, aside / uuid.uuid4().hex, src_dir_fd=into)
                os.rename(name, name, src_dir_fd=out, dst_dir_fd=into)


def link(home: AppLayout, host: str) -> None:
    """Have it at the place where the nodes that mount it have it."""
    mounts.remove(home, host)  # another node had this address before
    place = home.shared / host
    if place.is_dir() and not place.is_symlink():
        place.rmdir()
    if not place.is_symlink():
        place.symlink_to(mounts.HERE)


def start(home: AppLayout) -> None:
    """Raises NodeError where it cannot be."""
    try:
        renewal.restart(home.node, UNIT)
    except NodeError as error:
        raise NodeError(
            f"{UNIT} does not start. It is a part of the kernel, and a container has none: name a machine with a kernel of its own"
            " under services in gitdeploy.yaml",
            str(error),
        ) from error


def export(home: AppLayout, others: Iterable[str]) -> None:
    """Let these nodes, and no more, mount the app's directory.

    Whoever comes is the app's user here, whatever number he has there. A request has to come from a port that only root gets: other
    apps of these nodes cannot speak to it.
    """
    path = home.node.root / "etc/exports.d" / f"gitdeploy-{home.name}.exports"
    known = list(others)
    if known:
        path.parent.mkdir(exist_ok=True)
        write(path, exports(home, known))
    elif path.exists():
        path.unlink()
    else:
        return
    tool.run(("exportfs", "-r"))


def exports(home: AppLayout, others: Iterable[str]) -> str:
    """The line of exports(5)."""
    user = home.node.owners.process(home.name)
    options = f"rw,sync,secure,no_subtree_check,all_squash,anonuid={user['user']},anongid={user['group']},fsid={number(home.name)}"
    clients = " ".join(f"{one}({options})" for one in others)
    return f"# Written by gitdeploy for the app {home.name}.\n{home.shared / mounts.HERE} {clients}\n"


def number(app: str) -> str:
    """What clients know the directory by: the same one after a reboot, on whatever disk it is then."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{app}.nfs.gitdeploy"))


def serves() -> bool:
    """Whether somebody answers on the port; the packet filter lets nobody do so but the kernel."""
    try:
        socket.create_connection(("127.0.0.1", PORT), SECONDS).close()
    except OSError:
        return False
    return systemd.quietly("is-active", "--quiet", UNIT).returncode == 0


SERVICE = Nfs()
