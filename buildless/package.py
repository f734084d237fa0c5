"""An application package: a directory with a description in it, from which its objects can be had."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Union

from buildless import activation
from buildless.command import TIMEOUT, Job, Result, parse_command, perform
from buildless.description import Description, parse
from buildless.environ import environ
from buildless.errors import LoadError
from buildless.explanation import cannot

if TYPE_CHECKING:
    from typing import Unpack  # novm: for mypy alone

    from buildless.environ import Injected

DESCRIPTION = "app.yaml"
RUNNER = "__runner__"
"""The module name that the code of a runner file sees as its own."""


class AppPackage:
    """The application in `directory`, which must hold an app.yaml; `libraries` are directories outside of it (``pip:``).

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
    >>> package.run_command("hello_doctest:print_nothing").success
    False
    >>> sys.path.remove(str(package.directory))
    """

    def __init__(self, directory: Union[str, os.PathLike[str]], libraries: Sequence[str] = ()) -> None:
        self.directory, self.libraries = Path(os.path.realpath(directory)), tuple(libraries)

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

    def environ(self, **injected: Unpack[Injected]) -> Dict[str, str]:
        """Every environment variable that a process of the application gets: see `buildless.environ.environ`."""
        return environ(self.description, **injected)

    def activate(self) -> None:
        """Put the root of the tree, `paths` and `libraries` in front of everything else on sys.path, with what .pth files in
        them add, and run the tree's sitecustomize.py (see `buildless.activation`). Raises LoadError; safe to repeat.
        """
        activation.put_first(self._activated)

    @functools.cached_property
    def _activated(self) -> Tuple[str, ...]:
        """The directories for sys.path; what there is to run has run, once."""
        return activation.activate(self.directory, self.description.paths, self.libraries)

    def run_command(
        self,
        command: Union[str, Sequence[str]],
        environ: Optional[Mapping[str, str]] = None,
        *,
        timeout: float = TIMEOUT,
        on_output: Optional[Callable[[str], None]] = None,
        python: Optional[str] = None,
    ) -> Result:
        """Run a command of the application in a process of its own, and return how that ended and what it wrote.

        `command` is a URL path, a Python script or another program of the tree with arguments, or ``module:function`` with
        arguments (see `buildless.command`). `environ` is all of its environment, by default this process's own, which is right
        where that was injected. After `timeout` seconds it is ended. `on_output` gets the text as it comes, `python` is the
        interpreter. What fails is a Result, too; raises CommandError for a command that names nothing.
        """
        argv = parse_command(command, self.directory)
        variables = dict(os.environ if environ is None else environ)
        job = Job(self.directory, self.libraries, argv, variables, python or sys.executable)
        return perform(job, timeout, on_output)

    def load_object(self, spec: str) -> Any:
        """The object that `spec`, ``module:object``, names; both may be dotted. Raises LoadError, with the cause chained."""
        module_name, colon, attributes = spec.partition(":")
        if not (module_name and colon and attributes):
            raise LoadError(f"{spec!r} names no object: write module:object, such as shop.wsgi:application")
        try:
            found: Any = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise cannot(f"{spec} cannot be loaded", error, self.description.deb) from error
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

    @functools.cached_property
    def asgi_app(self) -> Callable[..., Any]:
        """The ASGI application that `app` names. Raises LoadError."""
        name = self.description.app or ""
        found = self.load_object(name)
        if not callable(found):
            raise LoadError(
                f"{name} is a {type(found).__name__}, not an ASGI application: name something that can be called"
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
            raise cannot(f"{relative} cannot be loaded", error, self.description.deb) from error
        return module
