"""Holds the imports to the arrows of docs/design.rst, and the modules to their size, so that the design stays true."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("gitdeploy/**/*.py"), *ROOT.glob("buildless/**/*.py")])
MOST_LINES = 300
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"}

GROUND = ("gitdeploy", "gitdeploy.errors", "gitdeploy.names", "gitdeploy.runner", "gitdeploy.text", "buildless")
"""What every part of the server may build on."""

ARROWS = {
    "gitdeploy.git": (),
    "gitdeploy.ssh": ("gitdeploy.git",),
    "gitdeploy.web": (),
    "gitdeploy.nodes": ("gitdeploy.web.fields", "gitdeploy.web.pages", "gitdeploy.web.target"),
    "gitdeploy.deploy": (
        "gitdeploy.git",
        "gitdeploy.git.configvars",
        "gitdeploy.nodes.node",
        "gitdeploy.nodes.oneoff",
        "gitdeploy.nodes.fleet",
        "gitdeploy.config",
    ),
    "gitdeploy.develop": (
        "gitdeploy.git",
        "gitdeploy.deploy.content",
        "gitdeploy.deploy.report",
        "gitdeploy.config",
        "gitdeploy.local.call",
        "gitdeploy.local.process",
        "gitdeploy.local.terminal",
        "gitdeploy.nodes",
        "gitdeploy.nodes.oneoff",
        "gitdeploy.deploy.stages",
        "gitdeploy.web",
        "gitdeploy.web.fields",
        "gitdeploy.web.pages",
        "gitdeploy.web.target",
    ),
    "gitdeploy.local": (
        "gitdeploy.nodes",
        "gitdeploy.nodes.fleet",
        "gitdeploy.ssh.commands.call",
        "gitdeploy.config",
        "gitdeploy.home",
        "gitdeploy.outfit",
        "gitdeploy.service",
    ),
    "gitdeploy.ssh.commands": (
        "gitdeploy.ssh",
        "gitdeploy.git.configvars",
        "gitdeploy.deploy.agreement",
        "gitdeploy.deploy.data",
        "gitdeploy.deploy.former",
        "gitdeploy.nodes.node",
        "gitdeploy.nodes.fleet",
        "gitdeploy.nodes.oneoff",
    ),
}
"""What each package may import besides itself and GROUND. The most specific name counts, on both sides: commands (pure
argv tuples, and what the commands of ssh need of a deploy) are named one by one."""

FOUNDATION = {
    "gitdeploy.errors": (),
    "gitdeploy.names": ("gitdeploy.errors",),
    "gitdeploy.runner": ("gitdeploy.errors",),
    "gitdeploy.text": (),
    "gitdeploy.config": ("gitdeploy", "gitdeploy.errors", "gitdeploy.names", "buildless"),
}
"""The same for single modules: all that they may import of ours."""


@dataclass(frozen=True)
class Import:
    """`module` imports `target` in `line`; names that are taken from a package count as modules of it where they are some."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def dotted(path: Path) -> str:
    """The name of the module in a file: ``gitdeploy.ssh`` for gitdeploy/ssh/__init__.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def within(name: str, packages: tuple[str, ...]) -> str:
    """The most specific of `packages` that a module is, or is in; empty if it is in none."""
    found = [package for package in packages if name == package or name.startswith(f"{package}.")]
    return max(found, key=len, default="")


def imports(path: Path, known: set[str]) -> Iterator[Import]:
    """What a file imports of ours, anywhere in it, for type checks alone or not."""
    module = dotted(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            targets = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            start = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (start, node.module) if part)
            full = [f"{origin}.{name.name}" for name in node.names]
            targets = [name if name in known else origin for name in full]
        else:
            continue
        yield from (
            Import(module, target, node.lineno) for target in targets if within(target, ("gitdeploy", "buildless"))
        )


KNOWN = {dotted(path) for path in MODULES}
IMPORTS = [found for path in MODULES for found in imports(path, KNOWN)]


def allowed(found: Import) -> bool:
    if found.module in FOUNDATION:
        return found.target in FOUNDATION[found.module] or (
            "buildless" in FOUNDATION[found.module] and bool(within(found.target, ("buildless",)))
        )
    home = within(found.module, tuple(ARROWS))
    if not home:
        return True  # the top of the package makes everything and hands it down
    if found.target in GROUND or within(found.target, ("buildless",)):
        return True
    target = within(found.target, (*ARROWS, *(name for names in ARROWS.values() for name in names)))
    return target == home or target in ARROWS[home] or within(target, (home,)) == home


def test_the_arrows_run_one_way() -> None:
    assert len(IMPORTS) > 100  # the reading itself works
    assert [str(found) for found in IMPORTS if not allowed(found)] == []


@pytest.mark.parametrize(
    ("module", "target", "fine"),
    [
        ("gitdeploy.git.receive", "gitdeploy.deploy.pipeline", False),
        ("gitdeploy.ssh.session", "gitdeploy.deploy.site", False),
        ("gitdeploy.ssh.session", "gitdeploy.git.push", True),
        ("gitdeploy.git.push", "gitdeploy.ssh.session", False),
        ("gitdeploy.ssh.commands.logs", "gitdeploy.text", True),
        ("gitdeploy.ssh.commands.logs", "gitdeploy.deploy.pipeline", False),
        ("gitdeploy.nodes.agent", "gitdeploy.deploy.pipeline", False),
        ("gitdeploy.deploy.onnode", "gitdeploy.nodes.node", True),
        ("gitdeploy.deploy.onnode", "gitdeploy.nodes.embedded", False),
        ("gitdeploy.deploy.site", "gitdeploy.server", False),
        ("gitdeploy.web.front", "gitdeploy.nodes.embedded", False),
        ("gitdeploy.runner", "gitdeploy.config", False),
        ("gitdeploy.server", "gitdeploy.deploy.pipeline", True),
    ],
)
def test_what_counts_as_an_arrow(module: str, target: str, fine: bool) -> None:
    assert allowed(Import(module, target, 1)) is fine


def test_applications_never_need_the_server() -> None:
    inside = [found for found in IMPORTS if within(found.module, ("buildless",))]
    assert inside
    assert [str(found) for found in inside if within(found.target, ("gitdeploy",))] == []


def test_one_module_starts_the_processes() -> None:
    naming = {
        dotted(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr in ("spawnProcess", "Popen", "create_subprocess_exec")
        if within(dotted(path), ("gitdeploy",))
    }
    assert naming == {"gitdeploy.runner"}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_is_small_and_says_why_it_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)) or not text.strip(), "the first line says in a sentence why it exists"
    assert len(text.splitlines()) <= MOST_LINES
    assert path.stem not in NO_NAMES, "a module is named for the one noun in it"
