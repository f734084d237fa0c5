"""The JSON schema of app.yaml, for editors: made from the keys that are read, and from what the annotated example says of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict

from buildless.description import KINDS
from buildless.shape import keys

EXAMPLE = Path(__file__).with_name("app.example.yaml")
_KEY = re.compile(r"#?([a-z_]+):")


def schema() -> Dict[str, Any]:
    """It takes what app.yaml may say; of a text that is wrong in itself, `buildless.description.parse` alone knows.

    >>> schema()["properties"]["ping"]["description"].partition(".")[0]
    'The path of a URL that must answer with a status below 400 before a release goes live'
    """
    said = explained(EXAMPLE.read_text(encoding="utf-8"))
    found = keys(KINDS)
    properties = {name: {"description": said.get(name, ""), **shape} for name, shape in found["properties"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "app.yaml, the description of an application",
        **found,
        "properties": properties,
        "required": ["platform"],
    }


def explained(text: str) -> Dict[str, str]:
    """What the comment above each key says, in one line; keys may be commented out.

    >>> explained("# What runs it.\\n# Must be there.\\nplatform: static\\n\\n# A file.\\n#runner: x\\n")
    {'platform': 'What runs it. Must be there.', 'runner': 'A file.'}
    """
    found: Dict[str, str] = {}
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        comment = [line[2:].strip() for line in lines if line.startswith("# ")]
        key = next((match[1] for match in map(_KEY.match, lines) if match), None)
        if key is not None:
            found[key] = " ".join(comment)
    return found
