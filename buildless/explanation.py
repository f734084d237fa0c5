"""What the author of an application wants to read when code of it fails: the code's own lines, and what to do next."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Sequence

from buildless.errors import LoadError


def explain(error: BaseException, directory: Path) -> str:
    """What the author of the application wants to read: the traceback from the first line of code below `directory` on,
    without the frames of those who loaded it, and the message of a LoadError last.
    """
    cause = error.__cause__ if isinstance(error, LoadError) and error.__cause__ is not None else error
    seen = set()
    link: BaseException | None = cause
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        trace = link.__traceback__
        while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(f"{directory}{os.sep}"):
            trace = trace.tb_next
        link.__traceback__ = trace
        link = link.__cause__ or link.__context__
    lines = traceback.format_exception(type(cause), cause, cause.__traceback__)
    return "".join([*lines, *([] if cause is error else [f"{error}\n"])])


def cannot(what: str, error: BaseException, debs: Sequence[str] = ()) -> LoadError:
    """The error that says in a line that `what` cannot be done, because of `error`, which is to be chained to it.

    `debs` are the Debian packages that app.yaml names.

    >>> print(cannot("lib/sitecustomize.py cannot be run", ZeroDivisionError("division by zero")))
    lib/sitecustomize.py cannot be run: ZeroDivisionError: division by zero
    """
    last = traceback.format_exception_only(type(error), error)[-1].strip()
    return LoadError(f"{what}: {last}{advice(error, debs)}")


def advice(error: BaseException, debs: Sequence[str]) -> str:
    if isinstance(error, ModuleNotFoundError):
        package = "python3-" + (error.name or "").partition(".")[0].lower().replace("_", "-")
        if package in debs:
            return f"; `deb:` names {package}, which is not installed here, or not for this Python"
        return "; put it in the tree and its directory in `paths:`, or name the package that has it under `deb:`"
    return ""
