"""All commands by name, and the way from what somebody typed to the one that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import NotFound
from ...names import nearest, quoted
from . import apps, deploys, help, keys, logs, ps, redeploy, releases, rollback
from .call import CommandSpec

SPECS = (
    help.SPEC,
    apps.SPEC,
    ps.SPEC,
    logs.SPEC,
    releases.SPEC,
    rollback.SPEC,
    redeploy.SPEC,
    deploys.SPEC,
    *keys.SPECS,
)
COMMANDS: Mapping[str, CommandSpec] = {spec.name: spec for spec in SPECS}


def find(name: str) -> CommandSpec:
    """The command called `name`. Raises NotFound with the nearest one."""
    if name in COMMANDS:
        return COMMANDS[name]
    guess = nearest(name, [*COMMANDS, "git-receive-pack", "git-upload-pack"])
    raise NotFound(f"there is no command {quoted(name)}; " + (f"did you mean {guess}?" if guess else "try: help"))


def usage(specs: Sequence[CommandSpec]) -> list[tuple[str, str]]:
    """How each is called, and what it does."""
    return [(" ".join(spec.parser().format_usage().split()[1:]), spec.summary) for spec in specs]
