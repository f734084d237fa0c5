"""What reads a value of a document, and says in JSON schema what it takes (json-schema.org, draft 2020-12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

import yaml

Kind = Callable[[yaml.Node], Any]
"""Takes a value as a node of YAML and returns what it means, or raises Mistake (buildless/document.py)."""

Schema = Mapping[str, Any]

TEXT: Schema = {"type": ["string", "integer"]}
"""YAML reads a text of digits as a number."""


@dataclass(frozen=True)
class Shaped:
    """A kind that says what it takes. Editors know less than `read`: what a text may be shows only when it is read."""

    read: Kind
    schema: Schema = field(default_factory=dict)

    def __call__(self, node: yaml.Node) -> Any:
        return self.read(node)


def schema_of(kind: Kind) -> Schema:
    """What a kind takes; anything, where it does not say."""
    return kind.schema if isinstance(kind, Shaped) else {}


def keys(kinds: Mapping[str, Kind]) -> Schema:
    """A mapping of keys, each of its kind, or without a value."""
    properties = {name: or_nothing(schema_of(kind)) for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def names(kind: Kind) -> Schema:
    """A mapping of names to what `kind` takes. Whether there may be no value is not said."""
    return {"type": "object", "additionalProperties": or_nothing(schema_of(kind))}


def or_nothing(schema: Schema) -> Schema:
    """The same, or no value."""
    if not schema:
        return schema
    kind = schema.get("type")
    if isinstance(kind, (str, list)) and set(schema) == {"type"}:
        return {"type": [*([kind] if isinstance(kind, str) else kind), "null"]}
    return {"anyOf": [schema, {"type": "null"}]}
