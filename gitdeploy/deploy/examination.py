"""What a pushed commit is, found out on the server alone, before any node hears of it."""

from __future__ import annotations

from buildless import static
from buildless.description import Description

from ..errors import Refused
from ..git import inspect
from ..git.configvars import ConfigVars
from ..git.inspect import Limits
from ..git.push import Push, Update
from ..git.repository import CommitInfo
from ..git.tree import Tree
from ..names import Place, spell
from ..text import count, size
from . import services, stages
from .content import Content, Faults, contradictions
from .report import Report
from .site import Site
from .stages import Plan


class Examination:
    """Looks at one commit of `push`, whose objects may lie in git's quarantine, and says what it finds in `report`."""

    def __init__(self, site: Site, place: Place, push: Push, report: Report) -> None:
        self.site, self.place, self.push, self.report = site, place, push, report
        self.repository, self.limits = site.repository(place.app), site.config.limits
        self.quarantine = push.environ.get("GIT_QUARANTINE_PATH")

    def commit(self, oid: str) -> CommitInfo:
        """The commit, or the one that a tag names."""
        found = self.repository.commit(oid, self.quarantine)
        if found is None:
            raise Refused(f"{oid[:7]} is no commit; push a branch or a commit")
        return found

    def content(self, commit: CommitInfo) -> Content:
        limits = Limits(self.limits.files, self.limits.unpacked)
        return Content(self.repository, commit.tree, limits, self.quarantine)

    def describe(self, commit: CommitInfo) -> Description:
        """What its app.yaml says. Raises Faults."""
        found = self.content(commit).describe()
        for warning in found.warnings:
            self.report.detail(f"warning: {warning}")
        if found.name and found.name != self.place.app:
            self.report.detail(f"app.yaml calls it {found.name}; here it is {self.place.app}")
        return found

    def plan(self, commit: CommitInfo, user: str, source: str, variables: ConfigVars) -> Plan:
        """What is to be deployed; it has no release number yet."""
        description, config = self.describe(commit), self.site.config
        app = spell(self.place, config.default_environment)
        workers = {name for name, one in description.processes.items() if one.path is None}
        for name in sorted(set(variables.scale) - workers):
            self.report.detail(
                f"warning: {name}={variables.scale[name]} was said with ps:scale, and this version has no such worker;"
                f" to drop that: ps:scale {app} {name}="
            )
        hosts = stages.hosts(
            self.place,
            description,
            self.site.domain(self.place),
            config.default_environment,
            self.site.environment(self.place).default_app,
        )
        if reserved := stages.reserved(hosts, self.site.domains()):
            raise Refused(
                f"{reserved} is a name that the server gives itself; take it out of the locations in app.yaml"
            )
        key, web = self.site.key(self.place), self.site.environment(self.place).web
        found = services.accounts(self.site, self.place, key, description, variables.variables)
        url = static.url(commit.oid, stages.named(hosts))
        mail = tuple(one.to for one in description.mail) if key == self.place.app else ()  # as it is with locations
        return Plan(self.place, key, commit, description, "", hosts, web, user, source, variables, found, url, mail)

    async def tree(self, update: Update, plan: Plan) -> tuple[Tree, dict[str, int]]:
        """Its tree, and the bytes of each blob, if every entry of it may be written on a node and what app.yaml names is there."""
        accepted = self.repository.commit(update.old)
        examined = await self.content(plan.commit).examine(
            self.site.runner, self.push.environ, self.limits.step, accepted.tree if accepted is not None else None
        )
        found = examined.found
        if found.problems:
            raise Faults(*inspect.lines(found.problems))
        if wrong := contradictions(plan.description, examined):
            raise Faults(*wrong)
        self.report.step(f"Checked {count(found.files, 'file')}, {size(found.size)}")
        return examined.tree, examined.sizes
