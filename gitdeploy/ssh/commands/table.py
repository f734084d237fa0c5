"""All commands by name, and the way from what somebody typed to the one that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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

MACHINE = (
    "server", "create-node", "setup-node", "list-nodes", "start-node", "stop-node", "destroy-node", "list-sizes",
    "list-images", "setup-server",
)  # fmt: skip
"""The commands of the server's own machine alone."""

WRITING = ("init", "serve", "cron", "test", "create-config", "check", "vendor", "schema")
"""Those for whoever writes an application alone."""


def find(name: str) -> CommandSpec:
    """The command called `name`. Raises NotFound with the nearest one, or with where that command is."""
    if name in COMMANDS:
        return COMMANDS[name]
    if name in MACHINE:
        raise NotFound(f"{name} is a command of the server's own machine, without ssh; write there: gitdeploy {name}")
    if name in WRITING:
        raise NotFound(f"{name} is for whoever writes an application, without ssh; write there: gitdeploy {name}")
    guess = nearest(name, [*COMMANDS, "git-receive-pack", "git-upload-pack", *MACHINE, *WRITING])
    raise NotFound(f"there is no command {quoted(name)}; " + (f"did you mean {guess}?" if guess else "try: help"))


def usage(specs: Sequence[CommandSpec]) -> list[tuple[str, str]]:
    """How each is called, and what it does."""
    return [(spec.parser().written(), spec.summary) for spec in specs]
