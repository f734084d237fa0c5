"""The texts of units and nginx files. What goes into them are checked names and numbers, so nothing in them is escaped.

A text that was rendered before is kept: Jinja2 alone takes longer to be imported than a node takes for the rest of a rollback.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Mapping

HERE = Path(__file__).parent


def render(name: str, values: Mapping[str, Any], kept: Path) -> str:
    """The template `name`, filled with `values`; `kept` is the directory of those that were filled before."""
    place = kept / digest(name, values)
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = fill(name, values)
        kept.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f".{place.name}-{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(place)
        return text


def digest(name: str, values: Mapping[str, Any]) -> str:
    """The same for what gives the same text: all templates count, as one may include another."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(HERE.glob("*.jinja"))]
    said = json.dumps([name, dict(values), sources], sort_keys=True, default=os.fspath)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def fill(name: str, values: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(str(HERE)),
        autoescape=False,  # noqa: S701 - neither format has an escape that would hold for all values
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name + ".jinja").render(values)
