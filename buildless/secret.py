"""The secret of an application in one environment, for signing cookies and the like: the same in all processes and releases.

It is in a file of its own, outside of the tree, that the application's user alone may read. The environment names the file and
never has the secret itself, for programs that the application starts, and pages that show errors, get to see all variables.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Callable, Mapping, Optional, Union

from buildless.errors import BuildlessError

VARIABLE = "APP_SECRET_FILE"
LEAST = 32  # characters; ours have 64
_EVERYBODY = 0o007


def get_secret(environ: Optional[Mapping[str, str]] = None) -> str:
    """The secret of the application that this process is of: 64 letters, digits, - and _.

    It is made when it is asked for first, and stays the same. `environ` is the process's own if it is not given.

    >>> path = os.path.join(tempfile.mkdtemp(), "shop")
    >>> first = get_secret({"APP_SECRET_FILE": path})
    >>> len(first), first == get_secret({"APP_SECRET_FILE": path})
    (64, True)
    >>> oct(os.stat(path).st_mode & 0o777)
    '0o600'
    """
    path = (os.environ if environ is None else environ).get(VARIABLE)
    if not path:
        raise BuildlessError(
            f"{VARIABLE} is not set, so this process does not know its secret; start it in the environment of the application"
        )
    return make_secret(path)


def make_secret(path: Union[str, os.PathLike[str]]) -> str:
    """The secret in a file; it is made if it is not there, by one of those who want it at once, and read by all."""
    place = Path(path)
    try:
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            put_secret(place, secrets.token_urlsafe(48), replace=False)
        return read_secret(place)
    except OSError as error:
        raise BuildlessError(f"the secret in {place} cannot be had: {error.strerror}; make it readable") from error


def read_secret(place: Path) -> str:
    """The secret in a file. Raises BuildlessError for one that is no secret: too short, or readable by everybody."""
    with place.open("rb") as file:
        mode, content = os.fstat(file.fileno()).st_mode, file.read()
    if mode & _EVERYBODY:
        raise BuildlessError(f"everybody on this machine may read the secret in {place}; write: chmod 600 {place}")
    found = content.decode("ascii", "replace").strip()
    if len(found) < LEAST or not found.isprintable():
        raise BuildlessError(
            f"{place} holds no secret of {LEAST} characters or more; remove it, then a new one is made"
        )
    return found


def put_secret(place: Path, secret: str, *, replace: bool, show: Callable[[Path], None] = lambda path: None) -> None:
    """Write a secret so that nobody ever finds half of it. A file that is there is left alone unless `replace` is said.

    `show` may let somebody else read the file before it has its name.
    """
    descriptor, name = tempfile.mkstemp(prefix=".secret-", dir=place.parent)  # 0600 from the beginning
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        show(Path(name))
        if replace:
            os.replace(name, place)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(name, place)  # unlike a rename, it fails where somebody was quicker
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def development_file(app: str, environment: str = "development", environ: Optional[Mapping[str, str]] = None) -> Path:
    """Where a developer's own machine keeps the secret of an app: below XDG_CONFIG_HOME, which is ~/.config if it is not set.

    >>> str(development_file("shop", environ={"XDG_CONFIG_HOME": "/home/alice/settings"}))
    '/home/alice/settings/gitdeploy/secrets/shop.development'
    >>> str(development_file("shop", "test", {"HOME": "/home/alice"}))
    '/home/alice/.config/gitdeploy/secrets/shop.test'
    """
    said = os.environ if environ is None else environ
    home = said.get("HOME") or os.path.expanduser("~")
    top = said.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return Path(top) / "gitdeploy" / "secrets" / f"{app}.{environment}"
