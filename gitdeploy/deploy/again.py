"""Deploys that no push asked for: a rollback, the same once more. They take the same way, and move the ref themselves."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Refused
from ..git.configvars import ConfigVars
from ..git.push import Push, Update
from ..names import Place
from .attempt import to_the_end
from .pipeline import Deploy
from .site import Site


async def deploy_again(
    site: Site,
    place: Place,
    user: str,
    source: str,
    commit: str | None,
    show: Callable[[bytes], None],
    allowed: Callable[[], bool],
    change: tuple[ConfigVars, ConfigVars] | None = None,
) -> str:
    """Make `commit` live, or what is live already once more if it is None; returns the release. Raises GitdeployError.

    `change` has config vars as they are, and as they are to be from the commit point on.
    """
    branch, current = site.deployed(place)
    deploy = Deploy(site, place, user, source, allowed, change=change)
    deploy.show(show)
    update = Update(current, commit or current, branch)
    try:
        await deploy.prepare(Push((update,)))
        deploy.committing()
        if update.new != current and not deploy.repository.move(place.environment, branch, current, update.new):
            raise Refused(f"{branch} was moved meanwhile; look at it and try again")
    except BaseException as error:
        await to_the_end(deploy.abandon(error))
        raise
    await to_the_end(deploy.activate())
    assert deploy.plan is not None
    return deploy.plan.release
