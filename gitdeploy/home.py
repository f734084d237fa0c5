"""The directory that a server keeps everything in, and where in it things are."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import stat
import tempfile
import time
from pathlib import Path

from .deploy.journal import Journal
from .errors import ConfigError, Refused, ServerRunning
from .nodes.fleet import Fleet, Logins
from .ssh.keys import Users

SOCKET_PATH = 107  # bytes that a unix socket's path may have (unix(7))
SOCKET_NAME = 72  # bytes of the longest name of a socket of ours: an app, an environment, a release


class Home:
    """`path` is made by `make`, 0700; `run` is where sockets are."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.config = self.path / "gitdeploy.yaml"
        self.host_key = self.path / "host_key" / "ssh_host_ed25519_key"
        self.users = Users(self.path / "keys")
        self.fleet = Fleet(self.path / "nodes")
        self.logins = Logins(self.path / "ssh")
        self.journal = Journal(self.path / "deploys", time.time)
        self.lock = -1

    @property
    def run(self) -> Path:
        """In the home if its path is short enough, else below the directory for temporary files."""
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= SOCKET_PATH - SOCKET_NAME - 1:
            return inside
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"gitdeploy-{os.getuid()}-{name}"

    @property
    def control(self) -> Path:
        """The socket that commands on this machine talk to."""
        return self.run / "control.sock"

    def make(self) -> None:
        """Make what is not there: the home, its commented gitdeploy.yaml, the directories for secrets and for sockets."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.path / "secrets").mkdir(exist_ok=True, mode=0o700)
        self.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = self.run.lstat()
        owners = {os.getuid(), self.path.stat().st_uid}  # root may work on the home of a service
        if status.st_uid not in owners or not stat.S_ISDIR(status.st_mode):
            raise ConfigError(f"{self.run} belongs to somebody else; remove it, or set XDG_RUNTIME_DIR")
        if not self.config.exists():
            self.config.write_bytes((Path(__file__).parent / "gitdeploy.example.yaml").read_bytes())

    def owner(self) -> os.stat_result | None:
        """Whose it is; None if there is none yet. Raises Refused for who may not work on it: he is neither that user nor root."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(f"{self.path} cannot be looked at: {error.strerror}; take another --home") from error
        if os.geteuid() not in (0, found.st_uid):
            raise Refused(
                f"{self.path} belongs to {user_name(found.st_uid)}; do this as root, such as with sudo, or take another --home"
            )
        return found

    def clean(self) -> None:
        """Remove the sockets of a server that was killed; only for who has taken the home."""
        for path in [*self.run.glob("*.sock"), *self.run.glob("*.lock")]:
            path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Remove the directory for sockets if it is not in the home, and nothing is left in it."""
        if self.run.parent != self.path:
            try:
                self.run.rmdir()
            except OSError:
                pass

    def take(self) -> None:
        """Hold the home as long as this process lives; raises ServerRunning if another server does."""
        self.lock = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self.lock)
            raise ServerRunning(
                f"a server is running on {self.path} already; stop it first, or take another --home"
            ) from None


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def give(top: Path, uid: int, gid: int) -> bool:
    """Make a user the owner of a file, or of a directory and all that is in it; says whether anything was not his.

    For root, and safe against that user: he may put other things in its place meanwhile, even links to what is root's.
    """
    changed = give_one(top, None, uid, gid)
    if top.is_dir() and not top.is_symlink():
        for _, directories, files, inside in os.fwalk(top):
            for name in (*directories, *files):
                changed |= give_one(name, inside, uid, gid)
    return changed


def give_one(name: str | Path, inside: int | None, uid: int, gid: int) -> bool:
    """The same for a single name, in a directory that is held open (`inside`); one that is gone is fine."""
    try:
        if os.stat(name, dir_fd=inside, follow_symlinks=False).st_uid == uid:
            return False
        os.chown(name, uid, gid, dir_fd=inside, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
