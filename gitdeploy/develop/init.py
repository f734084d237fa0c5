"""``init DIR``: a small application that deploys as it is; it asks nothing and overwrites nothing."""

from __future__ import annotations

import argparse
import keyword
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader

from ..errors import BadName, Refused
from ..names import app_name
from ..text import count
from .call import DevelopCall, DevelopSpec

FALLBACK = "shop"
ALL = {
    "app.yaml": "all/app.yaml",
    ".gitignore": "all/gitignore",
    "lib/python/README.txt": "all/README.txt",
    "static/style.css": "all/style.css",
    "tests/__init__.py": "all/tests_init",
}
ONE = {"src/{module}.py": "{framework}/app.py.jinja", "tests/test_{module}.py": "{framework}/test.py.jinja"}
LAYOUTS: Mapping[str, Mapping[str, str]] = {
    "none": ONE,
    "flask": ONE,
    "django": {
        "src/{module}/__init__.py": "django/init",
        **{f"src/{{module}}/{name}.py": f"django/{name}.py.jinja" for name in ("settings", "urls", "views", "wsgi")},
        "src/sitecustomize.py": "django/sitecustomize.py.jinja",
        "manage.py": "django/manage.py.jinja",
        "tests/test_{module}.py": "django/test.py.jinja",
    },
}
"""The files of each framework besides `ALL`, with their templates."""

TAKEN = frozenset((
    "buildless", "django", "flask", "gunicorn", "jinja2", "manage", "static", "lib", "src", "tests", "whitenoise", "yaml",
))  # fmt: skip
"""Names of modules that mean something else where the application runs."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument("--framework", choices=sorted(LAYOUTS), default="none")


async def run(call: DevelopCall) -> int:
    typed: Path = call.args.directory
    top = call.directory / typed
    check_empty(top, typed)
    name = called(top)
    files = rendered(name, module_name(name), call.args.framework)
    try:
        for path, text in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            with (top / path).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise Refused(f"{error.filename} cannot be made: {error.strerror}; take another directory") from error
    call.say(f"{typed} has {count(len(files), 'file')}: {', '.join(sorted(files))}")
    call.say("next:")
    step_in = [f"cd {shlex.quote(str(typed))}"] if top.resolve() != call.directory.resolve() else []
    for line in (
        *step_in,
        "gitdeploy test",
        "gitdeploy serve",
        "git init -b master && git add -A && git commit -m 'First page'",
        "gitdeploy check",
        f"git remote add deploy ssh://deploy@HOST:2222/{name}",
        "git push deploy master",
    ):
        call.say(f"    {line}")
    return 0


def check_empty(top: Path, typed: Path) -> None:
    """Raises Refused if something is there already; the directory of a repository without files is empty, too."""
    try:
        there = sorted(path.name for path in top.iterdir() if path.name != ".git")
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise Refused(f"{typed} is a file; write a new or an empty directory") from None
    except OSError as error:
        raise Refused(f"{typed} cannot be read: {error.strerror}; take another directory") from error
    if there:
        raise Refused(
            f"{typed} is not empty, it has {there[0]}; nothing is overwritten: write a new or an empty directory"
        )


def called(top: Path) -> str:
    """An app's name that comes near to the directory's; one that always does, if nothing is left of that."""
    name = re.sub(r"[^a-z0-9]+", "-", top.resolve().name.lower()).lstrip("-0123456789")[:40].rstrip("-")
    try:
        return app_name(name)
    except BadName:
        return f"my-{name}" if name else FALLBACK


def module_name(name: str) -> str:
    """A name for its module that hides no other module."""
    module = name.replace("-", "_")
    hides = (
        module in sys.stdlib_module_names
        or module in TAKEN
        or keyword.iskeyword(module)
        or keyword.issoftkeyword(module)
    )
    return f"{module}_app" if hides else module


def rendered(name: str, module: str, framework: str) -> dict[str, str]:
    """The text of every file by its path."""
    environment = Environment(
        loader=PackageLoader("gitdeploy.develop"), keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # the names in them are letters, digits and -
    )  # fmt: skip
    words = {"name": name, "module": module, "framework": framework}
    layout = {**ALL, **LAYOUTS[framework]}
    return {
        path.format(**words): environment.get_template(template.format(**words)).render(words).rstrip("\n") + "\n"
        for path, template in layout.items()
    }


SPEC = DevelopSpec("init", "make a small application that deploys as it is", arguments, run)
