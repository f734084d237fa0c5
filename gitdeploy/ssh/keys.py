"""Who may log in: one file of public keys per user, read anew whenever one of them has changed, so that no restart is needed."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key

from .. import names
from ..errors import BadName, NotFound

RSA_BITS = 2048  # the smallest RSA key that is taken
TYPES = "ssh-ed25519, ecdsa-sha2-nistp256, ssh-rsa (2048 bits or more) and their sk- forms"


@dataclass(frozen=True)
class UserKey:
    """A public key of a user. `blob` is the key as ssh sends it (RFC 4253 section 6.6)."""

    user: str
    type: str
    blob: bytes
    comment: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: ``SHA256:`` and unpadded base64."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        return f"{self.type} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()


def parse_key(user: str, line: str) -> UserKey:
    """One line of a .pub file. Raises BadName for what is no public key, or one that is too weak."""
    if "PRIVATE KEY" in line:
        raise BadName("this is a private key, which nobody else should ever see; give the file that ends in .pub")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise BadName(f"this is no public key: {names.quoted(line[:60])}; give the file that ends in .pub")
    try:
        key = Key.fromString(" ".join(words[:2]).encode(), type="PUBLIC_OPENSSH")
        kind, blob = key.sshType().decode(), key.blob()
    except (BadKeyError, EncryptedKeyError, UnsupportedAlgorithm, ValueError, IndexError, struct.error) as error:
        raise BadName(f"the key does not read: {error}; good ones are {TYPES}") from error
    if kind == "ssh-dss" or (kind == "ssh-rsa" and key.size() < RSA_BITS):
        raise BadName(f"a {kind} key of {key.size()} bits is too weak; good ones are {TYPES}")
    comment = "".join(char for char in (words[2] if len(words) > 2 else "") if char.isprintable())[:80]
    return UserKey(user, kind, blob, comment.strip())


class Users:
    """The keys below a directory: the file ``alice`` has alice's, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: tuple[object, ...] = ()
        self.known: dict[bytes, UserKey] = {}

    def all(self) -> list[UserKey]:
        """Every key, by user."""
        self.refresh()
        return sorted(self.known.values(), key=lambda key: (key.user, key.fingerprint))

    def find(self, blob: bytes) -> UserKey | None:
        """Whose key this is, now."""
        self.refresh()
        return self.known.get(blob)

    def add(self, user: str, text: str) -> list[UserKey]:
        """Add the keys in `text`, a .pub file or several. Raises BadName; a key belongs to one user only."""
        names.user_name(user)
        added = [parse_key(user, line) for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not added:
            raise BadName("there is no key on standard input; write: keys:add NAME < id_ed25519.pub")
        for key in added:
            other = self.find(key.blob)
            if other is not None and other.user != user:
                raise BadName(f"{key.fingerprint} is {other.user}'s key already; every person has keys of his own")
        kept = {key.blob: key for key in self.all() if key.user == user}
        self.write(user, [*kept.values(), *(key for key in added if key.blob not in kept)])
        return added

    def remove(self, user: str, fingerprint: str | None = None) -> list[UserKey]:
        """Remove a user, or one key of his. Returns what went; raises NotFound."""
        theirs = [key for key in self.all() if key.user == user]
        gone = [key for key in theirs if fingerprint in (None, key.fingerprint)]
        if not gone:
            guess = names.nearest(user, {key.user for key in self.all()})
            raise NotFound(
                f"{user} has no key {fingerprint}; see: keys:list" if theirs else
                f"there is no user {names.quoted(user)}; " + (f"did you mean {guess}?" if guess else "see: keys:list")
            )  # fmt: skip
        self.write(user, [key for key in theirs if key not in gone])
        return gone

    def write(self, user: str, keys: list[UserKey]) -> None:
        path = self.path / user
        if not keys:
            path.unlink(missing_ok=True)
            return
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_name(f".{user}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.writelines(key.line + "\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)

    def refresh(self) -> None:
        """Read the files again if any has changed."""
        there = self.path.iterdir() if self.path.is_dir() else ()
        files = sorted(path for path in there if not path.name.startswith("."))
        seen = tuple((path.name, (status := path.stat()).st_ino, status.st_mtime_ns, status.st_size) for path in files)
        if seen == self.seen:
            return
        self.known = {}
        for path in files:
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    key = parse_key(path.name, line)
                except BadName:
                    continue  # an edited file; the other keys in it still count
                self.known[key.blob] = key
        self.seen = seen
