"""How a node writes its small files: whole or not at all, so that nobody ever reads half of one."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, text: str) -> bool:
    """Write a file that has another text, or is not there; says whether it was so."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
    return True
