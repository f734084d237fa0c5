"""Whose the files of an app are. On the embedded node they all are the server's user's; a machine passes other owners."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterable

from buildless.errors import NodeError
from buildless.node.acl import let_read

SENDER = "gitdeploy"
"""The user that the server logs in as, and so the one that rsync writes as."""

WEB = "www-data"
"""The group of nginx's processes."""

LONGEST = 32  # characters of a user's name (useradd(8))
TIMEOUT = 60  # seconds for useradd and userdel, which wait for a lock


class Owners:
    """One user for everything: there is nothing to give, to take back, or to be somebody else for."""

    system = False  # whether this is a machine, on which packages can be installed

    def lend(self, directories: Iterable[str]) -> None:
        """Let the sender write into these directories."""

    def take_back(self, top: Path) -> None:
        """Make the directories of `top` ours again, so that what is in them stays as it is. Nothing there is fine."""

    def take(self, path: str) -> None:
        """Make a file that arrived ours."""

    def give(self, app: str, *directories: Path) -> None:
        """Let the app, and nobody else, write into these directories."""

    def give_tree(self, app: str, top: Path, *, public: bool = False) -> None:
        """Make a directory that the app cannot get to yet, and all in it, the app's; with `public` the web server may read it."""

    def give_state(self, app: str, state: Path, *, public: bool) -> None:
        """Let the app write into what it keeps; with `public` the web server gets through that to what is public there."""

    def nobody(self) -> Dict[str, Any]:
        """What `subprocess` has to be told to run something that may do nothing."""
        return {}

    def stranger(self, top: Path) -> Dict[str, Any]:
        """The same for something that may write in `top`, and nowhere else."""
        return {}

    def show(self, app: str, path: Path) -> None:
        """Let the app, and nobody else, read this file, or look into this directory."""

    def as_app(self, app: str, work: Callable[[], None]) -> None:
        """Do `work` with the rights of the app: wherever it may write, it may have put links that lead elsewhere."""
        work()

    def process(self, app: str) -> Dict[str, Any]:
        """What `subprocess` has to be told to run something as the app."""
        return {}

    def forget(self, app: str) -> None:
        """Nothing is left of the app."""


class SystemOwners(Owners):
    """A machine: root owns the trees, each app has a system user of its own, and the sender is lent what it fills."""

    system = True

    def lend(self, directories: Iterable[str]) -> None:
        sender = pwd.getpwnam(SENDER)
        for directory in directories:
            os.chown(directory, sender.pw_uid, sender.pw_gid, follow_symlinks=False)

    def take_back(self, top: Path) -> None:
        """Each before it is looked into: what a sender who still writes adds to it after that is nothing."""
        if top.is_dir():
            os.chown(top, 0, 0, follow_symlinks=False)
        for directory, names, _ in os.walk(top):
            for name in names:
                os.chown(os.path.join(directory, name), 0, 0, follow_symlinks=False)

    def take(self, path: str) -> None:
        os.chown(path, 0, 0, follow_symlinks=False)

    def give(self, app: str, *directories: Path) -> None:
        user = self.user(app)
        for directory in directories:
            directory.chmod(0o750)
            os.chown(directory, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def give_tree(self, app: str, top: Path, *, public: bool = False) -> None:
        """What the app makes in a public directory later the web server may read, too, whatever its mode says of others."""
        user = self.user(app)
        os.chown(top, 0, 0)  # nobody but root gets in from here on
        top.chmod(0o700)
        for _, directories, files, inside in os.fwalk(top):
            for name in (*directories, *files):
                os.chown(name, user.pw_uid, user.pw_gid, dir_fd=inside, follow_symlinks=False)
        if public:
            let_read(top, grp.getgrnam(WEB).gr_gid)
        os.chown(top, user.pw_uid, user.pw_gid)
        top.chmod(0o750)

    def give_state(self, app: str, state: Path, *, public: bool) -> None:
        """The mode is said once: visitors are asking for what is public there."""
        user = self.user(app)
        state.chmod(0o751 if public else 0o750)
        os.chown(state, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def nobody(self) -> Dict[str, Any]:
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}

    def stranger(self, top: Path) -> Dict[str, Any]:
        found = self.nobody()
        os.chown(top, found["user"], found["group"])
        return found

    def show(self, app: str, path: Path) -> None:
        os.chown(path, 0, self.user(app).pw_gid, follow_symlinks=False)
        path.chmod(0o750 if path.is_dir() else 0o640)

    def as_app(self, app: str, work: Callable[[], None]) -> None:
        """A child does it; its failure is passed over, for all that is done so can be done without."""
        user = self.user(app)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(user.pw_gid)
                os.setuid(user.pw_uid)
                work()
                status = 0
            finally:
                os._exit(status)
        os.waitpid(child, 0)

    def process(self, app: str) -> Dict[str, Any]:
        user = self.user(app)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}

    def forget(self, app: str) -> None:
        name = user_name(app)
        if known(name):
            run("userdel", name)

    def user(self, app: str) -> pwd.struct_passwd:
        """The app's user; made when it is needed first."""
        name = user_name(app)
        if not known(name):
            home = f"/var/lib/apps/{app}"
            run("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home,
                "--shell", "/usr/sbin/nologin", "--comment", f"the app {app}", name)  # fmt: skip
        return pwd.getpwnam(name)


def user_name(app: str) -> str:
    """The system user of an app. Names of apps have no ``_``, so that two apps never share one.

    >>> user_name("shop"), user_name("shop.staging")
    ('app-shop', 'app-shop_staging')
    >>> user_name("an-app-with-quite-a-long-name.staging")
    'app-an-app-with-quite-a_f151f54a'
    """
    name = "app-" + app.replace(".", "_")
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}_{hashlib.sha256(app.encode()).hexdigest()[:8]}"


def known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def run(*argv: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode != 0:
        raise NodeError(f"{argv[0]} failed: {done.stderr.strip()}; look at /etc/passwd on the node")
