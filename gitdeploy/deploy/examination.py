"""What a pushed commit is, found out on the server alone, before any node hears of it."""

from __future__ import annotations

from twisted.internet.threads import deferToThread

from buildless import description as app_yaml
from buildless.description import Description
from buildless.errors import DocumentError

from ..errors import Refused
from ..git import inspect
from ..git.inspect import Limits
from ..git.push import Push, Update
from ..git.repository import CommitInfo
from ..git.tree import Tree
from ..names import Place
from . import stages
from .report import Report, count, size
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

    def describe(self, commit: CommitInfo) -> Description:
        """What its app.yaml says."""
        text = self.repository.file(commit.tree, "app.yaml", self.quarantine)
        if text is None:
            raise Refused(
                "there is no app.yaml at the top of the tree; it describes the application: see docs/app-yaml.rst"
            )
        try:
            found = app_yaml.parse(text, "app.yaml")
        except DocumentError as error:
            for problem in error.problems[1:]:
                self.report.error(problem)
            raise Refused(error.problems[0]) from None
        for warning in found.warnings:
            self.report.detail(f"warning: {warning}")
        if found.name and found.name != self.place.app:
            self.report.detail(f"app.yaml calls it {found.name}; here it is {self.place.app}")
        return found

    def plan(self, commit: CommitInfo, user: str, source: str) -> Plan:
        """What is to be deployed; it has no release number yet."""
        description, config = self.describe(commit), self.site.config
        hosts = stages.hosts(self.place, description, self.site.domain(self.place), config.default_environment)
        if reserved := stages.reserved(hosts, self.site.domains()):
            raise Refused(
                f"{reserved} is a name that the server gives itself; take it out of the locations in app.yaml"
            )
        key, web = self.site.key(self.place), self.site.environment(self.place).web
        return Plan(self.place, key, commit, description, "", hosts, web, user, source)

    async def tree(self, update: Update, commit: CommitInfo) -> tuple[Tree, dict[str, int]]:
        """Its tree, and the bytes of each blob, if every entry of it may be written on a node."""
        limits = Limits(self.limits.files, self.limits.unpacked)
        tree = await deferToThread(Tree.read, self.repository, commit.tree, self.quarantine, limits)
        sizes = await tree.sizes(self.site.runner, self.push.environ, self.limits.step)
        accepted = self.repository.commit(update.old)
        found = await deferToThread(tree.inspect, limits, sizes, accepted.tree if accepted is not None else None)
        if found.problems:
            first, *others = inspect.lines(found.problems)
            for line in others:
                self.report.error(line)
            raise Refused(first)
        self.report.step(f"Checked {count(found.files, 'file')}, {size(found.size)}")
        return tree, sizes
