"""All commands by name, and the way from what somebody typed to the one that runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ...errors import NotFound
from ...names import nearest, quoted
from . import (
    apps,
    backup,
    config,
    configuration,
    deploys,
    destroy,
    doctor,
    help,
    keys,
    logs,
    maintenance,
    nodes,
    ps,
    redeploy,
    releases,
    restore,
    rollback,
    run,
    scale,
    verify,
)
from .call import CommandSpec

SPECS = (
    help.SPEC,
    apps.SPEC,
    ps.SPEC,
    scale.SPEC,
    logs.SPEC,
    releases.SPEC,
    rollback.SPEC,
    redeploy.SPEC,
    *run.SPECS,
    deploys.SPEC,
    *config.SPECS,
    *configuration.SPECS,
    *maintenance.SPECS,
    verify.SPEC,
    doctor.SPEC,
    *backup.SPECS,
    *restore.SPECS,
    destroy.SPEC,
    *nodes.SPECS,
    *keys.SPECS,
)
COMMANDS: Mapping[str, CommandSpec] = {spec.name: spec for spec in SPECS}

REPEATED = re.compile(r"(\S+) \[\1 \.\.\.\]")
"""How argparse shows an argument that may be there several times."""


def find(name: str, others: Iterable[str] = ()) -> CommandSpec:
    """The command called `name`. Raises NotFound with the nearest one, of `others`, too."""
    if name in COMMANDS:
        return COMMANDS[name]
    guess = nearest(name, [*COMMANDS, "git-receive-pack", "git-upload-pack", *others])
    raise NotFound(f"there is no command {quoted(name)}; " + (f"did you mean {guess}?" if guess else "try: help"))


def usage(specs: Sequence[CommandSpec]) -> list[tuple[str, str]]:
    """How each is called, and what it does."""
    return [
        (REPEATED.sub(r"\1...", " ".join(spec.parser().format_usage().split()[1:])), spec.summary) for spec in specs
    ]
