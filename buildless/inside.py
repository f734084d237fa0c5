"""``python -m buildless.inside JSON``: the process of a command that is the application's Python code (see buildless.command).

It activates the package, then asks the application, runs the script or calls the function. Exit status 1, with a traceback from
the application's first line on, for what raises; a script's own exit status is passed on.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List, Sequence

from buildless.errors import BuildlessError
from buildless.explanation import explain
from buildless.package import AppPackage
from buildless.request import ask

FAILED = 1


def ask_page(package: AppPackage, path: str, arguments: Sequence[str]) -> int:
    """Ask the application for a page, and print that."""
    answer = ask(package.wsgi_app, path, os.environ.get("APP_LOCATION", "localhost"))
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.body + (b"" if answer.body.endswith(b"\n") or not answer.body else b"\n"))
    if not answer.success:
        sys.stdout.buffer.write(f"{path} answered {answer.status}\n".encode("latin-1", "replace"))
    return 0 if answer.success else FAILED


def run_script(package: AppPackage, name: str, arguments: Sequence[str]) -> int:
    """Run a script of the tree as Python runs one: as __main__, its directory first on sys.path."""
    path = str(package.directory / name)
    module = ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    sys.argv = [path, *arguments]
    sys.path.insert(0, os.path.dirname(path))
    exec(compile(Path(path).read_bytes(), path, "exec"), module.__dict__)  # noqa: S102
    return 0


def call_function(package: AppPackage, name: str, arguments: Sequence[str]) -> int:
    """Call a function. False, and numbers other than 0, are failures, as exit statuses are; what else it returns is printed."""
    sys.argv = [name, *arguments]
    found = package.load_object(name)(*arguments)
    if found is None or found is True:
        return 0
    if isinstance(found, int):
        return int(found is False) or min(abs(found), 255)
    sys.stdout.write(f"{found}\n")
    return 0


def run_module(package: AppPackage, name: str, arguments: Sequence[str]) -> int:
    """Run a module as ``python -m`` does."""
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


FORMS: Dict[str, Callable[[AppPackage, str, Sequence[str]], int]] = {
    "url": ask_page,
    "script": run_script,
    "function": call_function,
    "module": run_module,
}


def enter(directory: Path) -> None:
    """Make the process the application's: its directory, and nothing of ours in front of its own modules."""
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] in ([""], [os.getcwd()]):
        del sys.path[0]  # python -m puts the current directory there
    os.chdir(directory)


def run(told: Dict[str, Any]) -> int:
    """Do what was told; returns the exit status."""
    package = AppPackage(told["directory"], told["libraries"])
    enter(package.directory)
    try:
        package.activate()
        return FORMS[told["form"]](package, told["name"], told["arguments"])
    except BuildlessError as error:
        report = explain(error, package.directory) if error.__cause__ is not None else f"{error}\n"
    except Exception as error:
        report = explain(error, package.directory)
    sys.stdout.flush()
    sys.stderr.write(report)
    return FAILED


def main(argv: List[str]) -> None:
    sys.exit(run(json.loads(argv[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
