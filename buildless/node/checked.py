"""What a node is asked for gets into paths only if it looks as it must."""

from __future__ import annotations

import re

from buildless.errors import NodeError


def checked(pattern: re.Pattern[str], what: str, text: str, advice: str = "") -> str:
    """`text` if it is all `pattern`: whoever may ask a node for something may not choose where on it that happens."""
    if not pattern.fullmatch(text):
        raise NodeError(f"{text!r} is no name of {'an' if what == 'app' else 'a'} {what} here{advice}")
    return text
