"""Nodes that do not answer: whether a deploy may do without them, and what to do if it may not. Pure."""

from __future__ import annotations

from collections.abc import Mapping

REREAD = "have the server read it again (systemctl reload gitdeploy, or SIGHUP)"
"""What follows a change of gitdeploy.yaml."""


def absent(
    down: Mapping[str, str], nodes: int, missing: int, environment: str, *, exclusive: bool = False
) -> str | None:
    """Why a deploy cannot do without the nodes in `down` (name: reason), of so many; None if it can.

    So many may be `missing` in the environment, but never all, and none where nobody is let in meanwhile (`exclusive`).
    """
    needed = len(down) - (0 if exclusive else min(missing, nodes - 1))
    if needed <= 0:
        return None
    verb = "does" if len(down) == 1 else "do"
    back = "all are" if needed == len(down) else "one of them is" if needed == 1 else f"{needed} of them are"
    said = f"{', '.join(down)} {verb} not answer ({next(iter(down.values()))}); push again when {back} back"
    if exclusive:
        return f"an exclusive update wants all nodes, as those that come back later would write: {said}"
    if len(down) == nodes:
        return said  # it never goes on without any
    return f"{said}, or write `missing: {len(down)}` for {environment} in gitdeploy.yaml and {REREAD}"
