"""Whether what the server has agrees with the apps that there are: gitdeploy.yaml, branches, and a home that is older than they."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..config import FILENAME, Config
from ..errors import ConfigError
from ..git.repository import Repository
from .site import Site


def agree(site: Site, config: Config) -> None:
    """Look whether `config` may count, and keep in the home which default environment it has. Raises ConfigError."""
    file = site.home / "default_environment"
    before = file.read_text(encoding="utf-8").strip() if file.exists() else config.default_environment
    apps = [app for app in site.apps() if app in site.visitors or site.repository(app).environments()]
    if found := list(disagreements(config, before, apps)):
        raise ConfigError(f"{site.home / FILENAME} does not agree with the apps that there are", *found)
    if not file.exists() or before != config.default_environment:
        new = file.with_name(f".{file.name}.new")
        new.write_text(f"{config.default_environment}\n", encoding="utf-8")
        new.replace(file)


def disagreements(config: Config, before: str, apps: Collection[str]) -> Iterator[str]:
    """Why `config` cannot count, a line each. `before` is the default environment that `apps` were pushed under."""
    default = config.default_environment
    if apps and before != default:
        yield (
            f"default_environment: it was {before} and is {default} now, which cannot be while there are apps"
            f" ({', '.join(sorted(apps))}): what they are called on nodes follows from it, and one environment would take over"
            f" what is live in the other; write `default_environment: {before}` back, and keep that environment. A new one beside"
            " it takes the apps by pushes, their data by clone-data; then destroy the old ones"
        )
    for app in sorted(set(apps) & set(config.environments)):
        yield (
            f"environments: {app} is the name of an app, and `{app}` could mean either; call the environment otherwise,"
            f" such as {app}-test"
        )


def settle_branches(site: Site) -> None:
    """Leave each app the one branch that names what is live; no deploy is under way.

    There are two if a first push to a branch that was set was cut short after its ref had moved: then it is that one. It is not if
    the branch names what was live long before, while the other one names the latest release.
    """
    for place in site.places():
        repository, branch = site.repository(place.app), site.branch(place)
        head = repository.head(place.environment)
        if branch is not None and head is not None and branch != head:
            releases = [one.commit for one in repository.releases(place.environment)]
            now, before = (repository.ref(place.environment, name) for name in (branch, head))
            if now in releases and before == releases[-1]:
                branch = head
        if branch is not None:
            repository.set_head(place.environment, branch)


def left_behind(site: Site) -> list[str]:
    """The environments that gitdeploy.yaml has no more although apps are live in them, a line each."""
    deployed: dict[str, list[str]] = {}
    for app in site.apps():
        for environment in site.repository(app).environments():
            deployed.setdefault(environment, []).append(app)
    return list(strays(deployed, site.config.environments))


def strays(deployed: Mapping[str, Collection[str]], environments: Collection[str]) -> Iterator[str]:
    """The same of the apps that are `deployed`, by environment, pure."""
    for name in sorted(set(deployed) - set(environments)):
        apps = sorted(deployed[name])
        yield (
            f"{name} is no environment any more, and {', '.join(apps)} {'is' if len(apps) == 1 else 'are'} stopped there;"
            f" write it back in gitdeploy.yaml, and to be rid of it: destroy {name}/{apps[0]}, before it is taken out"
        )


def ahead(
    repository: Repository, environment: str, release: str | None, commit: str | None, time: float | None = None
) -> str | None:
    """What to say if `release` of `commit`, live on a node, is later than any on record, and of a commit that is not there.

    It was made at `time`, if the node says so: what is older than the latest on record is of an earlier life of the app.

    Then the home was restored from a backup, and the node went on. None if it is not so.
    """
    latest = repository.releases(environment, 1)
    if release is None or commit is None or int(release[1:]) <= (latest[0].number if latest else 0):
        return None
    if repository.commit(commit) is not None or (latest and time is not None and time < latest[0].time):
        return None
    return (
        f"serves {release} ({commit[:7]}), which this server does not know, as its home was restored from before that; it goes"
        " on: push that commit again"
    )
