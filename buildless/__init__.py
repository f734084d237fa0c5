"""Application packages: a directory with an app.yaml, used by applications, by the server and on nodes.

>>> from buildless import AppPackage
>>> AppPackage.__module__
'buildless.package'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from buildless.package import AppPackage

__all__ = ["AppPackage"]


def __getattr__(name: str) -> Any:
    """AppPackage, when it is asked for: a node's agent and an application that wants its secret do without YAML."""
    if name == "AppPackage":
        from buildless.package import AppPackage

        return AppPackage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
