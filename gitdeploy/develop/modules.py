"""Are the modules that app.yaml names in the tree? Where one may come from a package instead, nobody can say so before a push."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from buildless import lifecycle
from buildless.command import FUNCTION_NAME
from buildless.description import Description

from ..deploy.content import Paths, upwards
from ..git.inspect import DIRECTORY, LINK
from ..git.tree import Tree


@dataclass(frozen=True)
class Missing:
    """What is said of a module that is not in the tree, and whether it is `certain` that it is nowhere."""

    text: str
    certain: bool


def missing_modules(description: Description, tree: Tree) -> list[Missing]:
    """The modules of ``app:``, and of commands that are functions, which are not there; a link or an archive may have one."""
    named = [("app", description.app)] if description.app else []
    commands = [*lifecycle.commands(description), *(("processes", one.run) for one in description.processes.values())]
    named += [(key, words[0]) for key, words in commands if FUNCTION_NAME.fullmatch(words[0])]
    found = (missing_module(description, tree, key, name.partition(":")[0]) for key, name in dict.fromkeys(named))
    return [one for one in found if one is not None]


def missing_module(description: Description, tree: Tree, key: str, module: str) -> Missing | None:
    """Whether the module that a key of app.yaml names is missing. A push is certain to fail for that of ``app`` alone."""
    modes = Paths(tree).modes
    first = module.partition(".")[0]
    tops = ("", *description.paths)
    if first in sys.stdlib_module_names or any(not plain(modes, top) for top in description.paths):
        return None
    if any(found(modes, top, module.split(".")) for top in tops):
        return None
    where = ", ".join(f"{top}/" if top else "the top of the tree" for top in tops)
    text = f"app.yaml:{description.lines.get(key, 1)}: {key}: there is no module {module} in {where}"
    begun = any(found(modes, top, [first]) for top in tops)
    if (description.deb or description.pip) and not begun:
        return Missing(f"{text}; {'the push' if key == 'app' else 'it'} fails if no package has it", certain=False)
    return Missing(f"{text}; commit it, or put its directory in `paths:`", certain=key == "app")


def plain(modes: dict[bytes, int], path: str) -> bool:
    """Whether a path is of directories alone, and so shows all that is in it; one that is not there does, too."""
    return all(modes.get(way.encode(), DIRECTORY) == DIRECTORY for way in upwards(path))


def found(modes: dict[bytes, int], top: str, parts: list[str]) -> bool:
    """Whether Python would find a module below `top`; it may be a package, a file, compiled, or behind a link."""
    path = top
    for number, part in enumerate(parts, 1):
        path = f"{path}/{part}" if path else part
        mode = modes.get(path.encode())
        if mode == LINK:
            return True
        if number == len(parts):
            beside = (f"{path}.".encode(), path.encode() + b"/")
            return mode == DIRECTORY or any(
                one.startswith(beside[0]) and one.endswith((b".py", b".so", b".pyc")) for one in modes
            )
        if mode != DIRECTORY:
            return False
    return False
