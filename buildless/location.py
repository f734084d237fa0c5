"""What an application is told of the path that it answers below: whatever is in front of it takes that off the URL, and says so."""

from __future__ import annotations

from typing import Any, Dict, MutableMapping

FIELD = "X-Forwarded-Prefix"
"""Nobody but what is in front says it: what clients send under this name is dropped there."""

_WSGI, _ASGI = "HTTP_" + FIELD.upper().replace("-", "_"), FIELD.lower().encode()


def tell_wsgi(environ: MutableMapping[str, Any]) -> None:
    """Put the path into SCRIPT_NAME, where PEP 3333 has it; PATH_INFO is what comes after it.

    >>> environ = {"HTTP_X_FORWARDED_PREFIX": "/blog", "SCRIPT_NAME": "", "PATH_INFO": "/2026", "RAW_URI": "/2026?x"}
    >>> tell_wsgi(environ)
    >>> environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["RAW_URI"]
    ('/blog', '/2026', '/blog/2026?x')
    """
    if prefix := environ.get(_WSGI):
        environ["SCRIPT_NAME"] = prefix
        environ["RAW_URI"] = f"{prefix}{environ.get('RAW_URI', '')}"


def tell_asgi(scope: Dict[str, Any]) -> Dict[str, Any]:
    """The scope with the path in `root_path`; as ASGI has it, it stands in `path`, too.

    >>> scope = tell_asgi({"headers": [(b"x-forwarded-prefix", b"/blog")], "path": "/2026", "raw_path": b"/2026"})
    >>> scope["root_path"], scope["path"], scope["raw_path"]
    ('/blog', '/blog/2026', b'/blog/2026')
    """
    prefix = dict(scope.get("headers", ())).get(_ASGI, b"")
    if not prefix:
        return scope
    told = {**scope, "root_path": prefix.decode("ascii"), "path": f"{prefix.decode('ascii')}{scope['path']}"}
    if scope.get("raw_path") is not None:
        told["raw_path"] = prefix + scope["raw_path"]
    return told
