"""An application package: a directory with a description in it, from which its objects can be had."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Union

from buildless.description import Description, parse
from buildless.errors import LoadError

DESCRIPTION = "app.yaml"
RUNNER = "__runner__"
"""The module name that the code of a runner file sees as its own."""


class AppPackage:
    """The application in `directory`, which must hold an app.yaml.

    >>> import tempfile
    >>> home = Path(tempfile.mkdtemp())
    >>> _ = (home / "app.yaml").write_text("name: hello\\nplatform: python, wsgi\\napp: hello_doctest:application\\n")
    >>> _ = (home / "hello_doctest.py").write_text("def application(environ, start_response): return [b'hello']\\n")
    >>> package = AppPackage(home)
    >>> package.activate()
    >>> package.load_object("hello_doctest:application.__name__")
    'application'
    >>> package.wsgi_app({}, None)
    [b'hello']
    >>> sys.path.remove(str(package.directory))
    """

    def __init__(self, directory: Union[str, os.PathLike[str]]) -> None:
        self.directory = Path(os.path.realpath(directory))

    @functools.cached_property
    def description(self) -> Description:
        """What app.yaml says. Raises DocumentError for its mistakes, LoadError when there is none."""
        try:
            text = (self.directory / DESCRIPTION).read_bytes()
        except OSError as error:
            raise LoadError(
                f"{self.directory / DESCRIPTION}: {error.strerror}; an application has its description there"
            ) from error
        return parse(text, DESCRIPTION)

    def activate(self) -> None:
        """Put the root of the tree, then `paths`, in front of everything else on sys.path; safe to repeat."""
        ours = [str(self.directory), *(str(self.directory / path) for path in self.description.paths)]
        ours = list(dict.fromkeys(ours))
        sys.path[:] = [*ours, *(path for path in sys.path if path not in ours)]
        importlib.invalidate_caches()

    def load_object(self, spec: str) -> Any:
        """The object that `spec`, ``module:object``, names; both may be dotted. Raises LoadError, with the cause chained."""
        module_name, colon, attributes = spec.partition(":")
        if not (module_name and colon and attributes):
            raise LoadError(f"{spec!r} names no object: write module:object, such as shop.wsgi:application")
        try:
            found: Any = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise LoadError(f"{spec} cannot be loaded: {_last_line(error)}{_advice(error)}") from error
        try:
            for name in attributes.split("."):
                found = getattr(found, name)
        except AttributeError as error:
            raise LoadError(f"{spec} cannot be loaded: {error}; define it there, or name what is there") from error
        return found

    @functools.cached_property
    def wsgi_app(self) -> Callable[..., Any]:
        """The WSGI application (PEP 3333) that `app` names or that the `runner` file defines. Raises LoadError."""
        description = self.description
        if description.app is not None:
            name, found = description.app, self.load_object(description.app)
        elif description.runner is not None:
            name, module = description.runner, self._run(description.runner)
            found = getattr(module, "application", None)
            if found is None:
                raise LoadError(f"{name} defines no `application`: call the WSGI application that")
        else:
            raise LoadError(f"{DESCRIPTION} names no application: write `app: module:object`, or `runner:` and a file")
        if not callable(found):
            raise LoadError(
                f"{name} is a {type(found).__name__}, not a WSGI application: name something that can be called"
            )
        return found  # type: ignore[no-any-return]

    def _run(self, relative: str) -> ModuleType:
        """The code of a runner file, run as a module. Compiled here: a loader would mix up the caches of run.wsgi and run.py."""
        path = self.directory / relative
        module = ModuleType(RUNNER)
        module.__file__ = str(path)
        sys.modules[RUNNER] = module
        try:
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102
        except (Exception, SystemExit) as error:
            del sys.modules[RUNNER]
            raise LoadError(f"{relative} cannot be loaded: {_last_line(error)}{_advice(error)}") from error
        return module


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


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(type(error), error)[-1].strip()


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; put it in the tree and its directory in `paths:`, or name the package that has it under `deb:`"
    return ""
