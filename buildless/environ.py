"""The whole environment of an application's processes, the same on nodes and in development: injected, never inherited."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Mapping, Optional, TypedDict

from buildless.description import Description

if TYPE_CHECKING:
    from buildless.package import AppPackage

PATH = "/usr/local/bin:/usr/bin:/bin"


class Always(TypedDict):
    """What `environ` takes beside the description."""

    app: str
    environment: str
    release: str
    version: str
    location: str
    tmpdir: str
    logs: str
    pycache: str
    secret: str
    base: Mapping[str, str]


class Injected(Always, total=False):
    """The same, with what there need not be."""

    config: Optional[str]
    static_url: str


def with_libraries(variables: Mapping[str, str], package: AppPackage, library: Path) -> Dict[str, str]:
    """`variables`, with what makes every Python that a process starts the application's own (buildless/start/sitecustomize.py).

    `library` is the directory that has this package, as the process is to find it.
    """
    own = [package.directory, *(package.directory / path for path in package.description.paths)]
    path = os.pathsep.join(map(str, [library / "buildless" / "start", *own, *package.libraries]))
    return {**variables, "PYTHONPATH": path, "APP_DIRECTORY": str(package.directory)}


def environ(
    description: Description,
    *,
    app: str,
    environment: str,
    release: str,
    version: str,
    location: str,
    tmpdir: str,
    logs: str,
    pycache: str,
    secret: str,
    base: Mapping[str, str],
    config: Optional[str] = None,
    static_url: str = "/",
) -> Dict[str, str]:
    """Every environment variable that a process of the application gets.

    `base` is all that comes from outside (PATH, config vars); nothing of the caller's own environment is read. `release` is
    ``v7``, `version` a commit, `location` a host name, `tmpdir`, `logs` and `pycache` are absolute directories, and `secret`
    is the absolute path of the file with the secret (buildless/secret.py). `config` is the directory of its configuration, if any.
    `static_url` is the URL path, or the URL, that the files of `static` are below (buildless/static.py); it may be said otherwise.
    What the environment injects wins over `base`, and `base` over the description's own `env`. PYTHONHASHSEED is not ours
    to set: a fixed one makes collisions predictable.
    """
    injected = {
        "LANG": "C.UTF-8",
        "HOME": tmpdir,
        "TMPDIR": tmpdir,
        "APP_LOGS": logs,
        "APP_NAME": app,
        "APP_ENVIRONMENT": environment,
        "APP_RELEASE": release,
        "APP_VERSION": version,
        "APP_LOCATION": location,
        "APP_SECRET_FILE": secret,
        "PYTHONPYCACHEPREFIX": pycache,
        "PYTHONUNBUFFERED": "1",
    }
    if config is not None:
        injected["APP_CONFIG"] = config
    return {"PATH": PATH, "STATIC_URL": static_url, **description.env, **base, **injected}
