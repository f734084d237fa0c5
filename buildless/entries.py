"""How commands, jobs and process types are read from app.yaml: the parts of its description that have parts themselves."""

from __future__ import annotations

from typing import Any, Mapping

import yaml

from buildless.configuration import Configuration
from buildless.cron import TIMEOUT, CronJob, crontab_line, job_name, schedule
from buildless.document import Mistake, Problem, mistake, named, section
from buildless.kinds import boolean, duration, integer, string
from buildless.lifecycle import Update, command_line
from buildless.mail import LONGEST, Mailbox, pattern, receiver
from buildless.processes import MOST, Process, process_name, url_place, words
from buildless.shape import TEXT, Kind, Shaped, schema_of
from buildless.values import tree_path

command: Kind = string(command_line)
"""A command."""

_UPDATE = section({"run": command, "exclusive": boolean})


def _update(node: yaml.Node) -> Update:
    if isinstance(node, yaml.ScalarNode):
        return Update(command(node))
    found: Mapping[str, Any] = _UPDATE(node)
    if "run" not in found:
        raise mistake(node, "there is no command; write `run: COMMAND`")
    return Update(**found)


update: Kind = Shaped(_update, {"anyOf": [TEXT, schema_of(_UPDATE)]})
"""A command, or `run` and `exclusive`."""


_JOB = section({"at": string(schedule), "run": command, "timeout": duration()})


def _job(node: yaml.Node) -> CronJob:
    if isinstance(node, yaml.ScalarNode):
        return string(crontab_line)(node)  # type: ignore[no-any-return]
    found: Mapping[str, Any] = _JOB(node)
    for key, example in (("at", "0 3 * * *"), ("run", "bin/clean")):
        if key not in found:
            raise mistake(node, f"`{key}` is missing; write `{key}: {example}`")
    return CronJob(found["at"], found["run"], found.get("timeout", TIMEOUT))


def _no_job(node: yaml.Node) -> CronJob:
    raise mistake(node, "there is no job; write such as 0 3 * * * bin/clean")


jobs: Kind = named(job_name, Shaped(_job, {"anyOf": [TEXT, schema_of(_JOB)]}), _no_job)
"""Jobs by name."""

_MAIL = section({"run": string(receiver), "timeout": duration()})


def _mailbox(node: yaml.Node) -> Mapping[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {"run": string(receiver)(node)}
    found: Mapping[str, Any] = _MAIL(node)
    if "run" not in found:
        raise mistake(node, "there is no command; write `run: COMMAND`")
    if found.get("timeout", 0) > LONGEST:
        raise mistake(node, f"a message may take {LONGEST:g} s; write at most that, and let a worker do the rest")
    return found


def _no_mailbox(node: yaml.Node) -> Mapping[str, Any]:
    raise mistake(node, "there is no command; write such as bin/receive")


_mailboxes = named(pattern, Shaped(_mailbox, {"anyOf": [TEXT, schema_of(_MAIL)]}), _no_mailbox)


def _mail(node: yaml.Node) -> tuple[Mailbox, ...]:
    found: Mapping[str, Mapping[str, Any]] = _mailboxes(node)
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    return tuple(Mailbox(pattern(to), **said, line=lines[to]) for to, said in found.items())


mail: Kind = Shaped(_mail, schema_of(_mailboxes))
"""Commands by the addresses whose messages they get, as a tuple of `Mailbox`."""

_CONFIGURATION = section(
    {"required": boolean, "default": string(tree_path), "template": string(tree_path), "checker": command}
)


def _configuration(node: yaml.Node) -> Configuration:
    return Configuration(**_CONFIGURATION(node))


configuration: Kind = Shaped(_configuration, schema_of(_CONFIGURATION))
"""What is said of the configuration."""


_PROCESS = section({"run": string(words), "path": string(url_place), "count": integer(0, MOST)})


def _process(node: yaml.Node) -> Process:
    if isinstance(node, yaml.ScalarNode):
        return Process(string(words)(node))
    found: Mapping[str, Any] = _PROCESS(node)
    if "run" not in found:
        raise mistake(node, "there is no command; write `run: COMMAND`")
    if "path" in found and "count" in found:
        raise mistake(node, "there is one process of a type with `path` on each node; leave `count` out")
    return Process(**found)


def _no_process(node: yaml.Node) -> Process:
    raise mistake(node, "there is no command; write one, such as bin/worker")


def processes() -> Kind:
    """A kind: a dict of `Process` by name, no two of which answer below the same path."""
    read = named(process_name, Shaped(_process, {"anyOf": [TEXT, schema_of(_PROCESS)]}), _no_process)

    def read_processes(node: yaml.Node) -> Mapping[str, Process]:
        found: Mapping[str, Process] = read(node)
        if not found:
            raise mistake(node, "there is no process type; write one, such as `worker: bin/worker`, or leave it out")
        first: dict[str, str] = {}
        problems = []
        for key, value in node.value:
            path = found[key.value].path
            if path is not None and path in first:
                taken = f"{path} is the path of {first[path]} already; write another one"
                problems.append(Problem(value.start_mark.line + 1, taken, key.value))
            elif path is not None:
                first[path] = key.value
        if problems:
            raise Mistake(*problems)
        return found

    return Shaped(read_processes, schema_of(read))
