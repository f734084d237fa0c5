"""``python -m buildless.console``, in an application's process: a Python to type into, with the package at hand."""

from __future__ import annotations

import code
import os
import sys
from typing import Any, Dict

from buildless.package import AppPackage


def complete(names: Dict[str, Any]) -> None:
    """Let the tab key complete names, where Python can edit lines at all."""
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")


def main() -> None:
    names: Dict[str, Any] = {"__name__": "__console__", "package": AppPackage(os.getcwd())}
    complete(names)
    environment, app = (os.environ.get(name, "-") for name in ("APP_ENVIRONMENT", "APP_NAME"))
    version = ".".join(str(part) for part in sys.version_info[:3])
    code.interact(
        f"Python {version}, {app} in the environment {environment}; package.wsgi_app is its application",
        None,
        names,
        "",
    )


if __name__ == "__main__":
    main()
