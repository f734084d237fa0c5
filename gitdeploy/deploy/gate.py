"""What a push may ask for: decided from its refs alone, before anything else is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from .. import names
from ..errors import Refused
from ..git.push import ZERO, Update
from ..git.repository import PREPARE

FIRST_BRANCHES = ("refs/heads/main", "refs/heads/master")

AGAIN = {
    "redeploy": "to deploy that once more: redeploy APP",
    "rollback": "to go back from that: rollback APP, or rollback APP vN",
    "config": "to change its configuration, type the command again",
    "catch up": "the node catches up with that by itself",
}
"""What somebody who was overtaken does then, by the source of a deploy that is no push."""


def deploying(updates: Sequence[Update], branch: str | None, environment: str) -> Update | None:
    """The one update that deploys, or prepares a release; None for a push of tags alone.

    `branch` is the deployed branch (``refs/heads/master``), or None while the app has none: then the first push of main or
    master decides. Raises Refused for what may not be pushed here, with the command that would do what was probably meant.
    """
    chosen = None
    for update in updates:
        ref = names.ref_name(update.ref)
        if ref.startswith("refs/tags/"):
            continue
        if not ref.startswith("refs/heads/"):
            raise Refused(f"{ref} is not for pushing; push a branch: git push deploy HEAD:{short(branch)}")
        if update.new == ZERO and ref == PREPARE != branch and update.old != ZERO:
            continue
        if update.new == ZERO:
            raise Refused(deleting(ref, branch))
        if chosen is not None:
            raise Refused(f"one push deploys one branch; git push deploy {short(ref)}:{short(branch)}")
        if branch is None and ref not in FIRST_BRANCHES:
            raise Refused(
                f"the first push makes master or main the branch of {environment}: git push deploy {short(ref)}:master"
            )
        if branch is not None and ref not in (branch, PREPARE):
            raise Refused(
                f"{environment} deploys {short(branch)}, not {short(ref)}: git push deploy {short(ref)}:{short(branch)}"
            )
        chosen = update
    return chosen


def deleting(ref: str, branch: str | None) -> str:
    """Why a branch is not deleted."""
    if ref == branch:
        back = f"git push -f deploy OLDER:{short(ref)}"
        return f"{short(ref)} is what is live and cannot be deleted; to go back, push an older commit: {back}"
    return f"there is no branch {short(ref)} here to delete; only {short(branch)} is deployed"


def still(update: Update, current: str | None, source: str = "git push") -> None:
    """Refuse an update that was made for another state: somebody else was faster while it waited.

    What is to be done then depends on the `source` of the deploy: who types a command pushes nothing.
    """
    if update.old != (current or ZERO):
        now = f"{short(update.ref)} is now {(current or 'gone')[:7]}, not {update.old[:7]} which"
        if source in AGAIN:
            raise Refused(f"{now} was live; somebody deployed meanwhile; {AGAIN[source]}")
        raise Refused(f"{now} you would replace; fetch, look at what was deployed meanwhile, and push again")


def short(ref: str | None) -> str:
    """``master`` of ``refs/heads/master``; master where there is none yet."""
    return (ref or "refs/heads/master").removeprefix("refs/heads/")
