"""Services on a developer's own machine: what an application is told of those that run there, as development.yaml says.

The file is ``~/.config/gitdeploy/development.yaml`` (below ``$XDG_CONFIG_HOME``, if that is set). It says for each service where it
is, for all apps, and below ``apps`` for one::

    postgresql: {url: "postgresql:///{app}"}
    redis: {url: "redis://localhost:6379/0"}
    apps:
      shop:
        files: {directory: "~/shop-files"}

``{app}`` stands for the app's name, ``{environment}`` for that of the environment (development, test). files, public_files and nfs
need no word: they are directories below ``~/.local/share/gitdeploy/APP``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping

from buildless import service
from buildless.description import Description
from buildless.document import named, read, section
from buildless.errors import BuildlessError
from buildless.kinds import string
from buildless.service import Account
from buildless.services.files import Files
from buildless.values import app_name

SUGGESTED = {
    "postgresql": "postgresql:///{app}",
    "postgis": "postgresql:///{app}",
    "mysql": "mysql://root@localhost/{app}",
    "redis": "redis://localhost:6379/0",
    "memcached": "memcached://localhost:11211",
    "rabbitmq": "amqp://guest:guest@localhost:5672/%2F",
    "couchdb": "http://localhost:5984/{app}",
    "mongodb": "mongodb://localhost:27017/{app}",
}
"""What somebody who has them as Debian installs them would write."""


def settings_file(environ: Mapping[str, str] | None = None) -> Path:
    """Where the settings are.

    >>> str(settings_file({"HOME": "/home/alice"}))
    '/home/alice/.config/gitdeploy/development.yaml'
    """
    said = os.environ if environ is None else environ
    top = said.get("XDG_CONFIG_HOME") or os.path.join(said.get("HOME") or os.path.expanduser("~"), ".config")
    return Path(top) / "gitdeploy" / "development.yaml"


def data_directory(app: str, environ: Mapping[str, str] | None = None) -> Path:
    """Where files of an app are kept that nothing is said of: below XDG_DATA_HOME, which is ~/.local/share if it is not set."""
    said = os.environ if environ is None else environ
    top = said.get("XDG_DATA_HOME") or os.path.join(said.get("HOME") or os.path.expanduser("~"), ".local", "share")
    return Path(top) / "gitdeploy" / app


def development_environ(
    description: Description, app: str, file: Path | None = None, environment: str = "development"
) -> Dict[str, str]:
    """The variables of all services that an application wants. Directories are made.

    Raises DocumentError for a file with mistakes, and BuildlessError, with what to write where, for a service it says nothing of.
    """
    path = file or settings_file()
    settings = load(path)
    found: Dict[str, str] = {}
    lacking: List[str] = []
    for name in description.services:
        said = {**settings.get(name, {}), **settings.get("apps", {}).get(app, {}).get(name, {})}
        said = {key: filled(text, app, environment) for key, text in said.items()}
        one = service.find(name)
        if isinstance(one, Files):
            directory = Path(said.get("directory") or data_directory(app) / environment / name).expanduser()
            directory.mkdir(parents=True, exist_ok=True)
            found.setdefault(one.variable, str(directory.absolute()))
        elif "url" not in said:
            lacking.append(f'{name}: {{url: "{SUGGESTED.get(name, "...")}"}}')
        else:
            try:
                told = one.environ(Account(name, app, url=said["url"]), "")
            except ValueError as error:
                raise BuildlessError(f"{path}: {name}: {said['url']!r} is no URL of it: {error}") from error
            found = {**told, **found}
    if lacking:
        raise BuildlessError(f"{app} wants services that {path} says nothing of; write into it:\n" + "\n".join(lacking))
    return found


def load(path: Path) -> Dict[str, Any]:
    """What the file says; nothing if there is none. Raises DocumentError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BuildlessError(f"{path} cannot be read: {error.strerror}") from error
    each = {
        name: section({"directory" if isinstance(service.find(name), Files) else "url": string()})
        for name in service.names()
    }
    return read(
        text, str(path), {**each, "apps": named(app_name, section(each), lambda node: {})}, optional=True
    ).checked()


def filled(text: str, app: str, environment: str) -> str:
    """A setting with the names in it; other braces stay.

    >>> filled("postgresql:///{app}_{environment}", "shop", "test")
    'postgresql:///shop_test'
    """
    return text.replace("{app}", app).replace("{environment}", environment)
