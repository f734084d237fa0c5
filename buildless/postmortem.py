"""What goes around an application in development: an exception of a request is shown in the browser, and in the terminal as always.

A release's settings name it under `around`; on nodes nothing is named there, and visitors see no code.
"""

from __future__ import annotations

import html
import os
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

from buildless.explanation import explain
from buildless.stopwatch import Environ, WsgiApp

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 2em }} pre {{ white-space: pre-wrap; overflow-wrap: anywhere }}</style>
<h1>{title}</h1>
<p>{request}</p>
<pre>{trace}</pre>
</html>
"""


def shown(app: WsgiApp) -> WsgiApp:
    """The same application; what it raises, at once or while its answer is read, is an answer too."""

    def call(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            body = app(environ, start_response)
        except Exception as error:
            return answer(error, environ, start_response)
        return whole(body, environ, start_response)

    return call


def whole(body: Iterable[bytes], environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
    try:
        yield from body
    except Exception as error:
        yield from answer(error, environ, start_response)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def answer(error: Exception, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The page about an exception. Where a part of the answer is on its way, the exception is raised again (PEP 3333)."""
    raised = sys.exc_info()
    trace = explain(error, Path(os.getcwd()))
    request = f"{environ.get('REQUEST_METHOD', '?')} {environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    sys.stderr.write(f"{request} failed\n{trace}")
    sys.stderr.flush()
    title = f"{type(error).__name__}: {error}"
    kind, text = "text/plain", f"{request}\n\n{trace}"
    if "text/html" in environ.get("HTTP_ACCEPT", ""):
        kind = "text/html"
        text = PAGE.format(title=html.escape(title), request=html.escape(request), trace=html.escape(trace))
    body = text.encode("utf-8", "replace")
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response("500 Internal Server Error", headers, raised)
    return [body]
