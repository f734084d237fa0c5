"""``services:`` of app.yaml: a list of names, or a mapping of names to their options."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import yaml

from . import service
from .document import Mistake, Problem, mistake, named, nearest, section
from .kinds import strings
from .shape import Kind, Schema, Shaped, keys, schema_of
from .values import quoted

Options = Mapping[str, Tuple[str, ...]]


def _services(node: yaml.Node) -> Dict[str, Options]:
    """The options of each service, by its name, in the order in which they stand there."""
    if not isinstance(node, yaml.MappingNode):
        return {name: {} for name in strings(_name)(node)}
    found: Dict[str, Options] = named(_name, _any, lambda _: {})(node)
    problems = []
    for key, value in node.value:
        name = key.value
        try:
            found[name] = _options(name)(value) if not value.tag.endswith(":null") else {}
            if problem := service.find(name).problem(found[name]):
                problems.append(Problem(value.start_mark.line + 1, problem, name))
        except Mistake as wrong:
            problems.extend(
                Problem(line, text, f"{name}.{inner}" if inner else name) for line, text, inner in wrong.problems
            )
    if problems:
        raise Mistake(*problems)
    if not found:
        raise mistake(node, "the mapping is empty; write `services: [files]`, or leave it out")
    return found


def _any(node: yaml.Node) -> Options:
    return {}


def _options(name: str) -> Kind:
    options = service.find(name).options

    def read(node: yaml.Node) -> Any:
        if not options:
            raise mistake(node, f"{name} has no options; write `{name}:` alone")
        return section({option: strings() for option in options})(node)

    return read


def _name(text: str) -> str:
    known = service.names()
    if text not in known:
        guess = nearest(text, known)
        advice = f"did you mean {guess}?" if guess else f"write one of {', '.join(known)}"
        raise ValueError(f"there is no service {quoted(text)}; {advice}")
    return text


def _schema() -> Schema:
    """What an editor is told: a list of names, or names with their options."""
    listed = schema_of(strings(_name, service.names()))
    each = {name: section({option: strings() for option in service.find(name).options}) for name in service.names()}
    return {"anyOf": [*listed["anyOf"], keys(each)]}


services: Kind = Shaped(_services, _schema())
"""The options of each service, by its name, in the order in which they stand there."""


def contradiction(found: Mapping[str, Options]) -> str | None:
    """What is wrong with services that are right each."""
    if "postgresql" in found and "postgis" in found:
        return "postgis is postgresql already; leave postgresql out"
    return None
