"""What a value in a document can be, so that YAML's own views on 3.10 and no never reach a program (see buildless.document)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Iterator, Mapping, Sequence

import yaml

from .document import Check, Mistake, Problem, mistake, named, require, what
from .shape import TEXT, Kind, Schema, Shaped
from .values import quoted

SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
SIZES.update({"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40})
"""Bytes of each unit, written in small letters."""

DURATIONS = {"": 1000, "ms": 1, "s": 1000, "sec": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
"""Milliseconds of each unit."""

YEAR = 366 * 86_400
"""Seconds; a longer time is a mistake."""

_AMOUNT = re.compile(r"((?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_MEANINGS = {"float": "a number", "int": "a number", "bool": "true or false", "timestamp": "a date"}
_MEANINGS.update({"value": "a default", "merge": "a merge"})


def string(check: Check = str) -> Kind:
    """Text in one line."""
    return Shaped(lambda node: _checked(check, _one_line(node), node), TEXT)


def strings(check: Check = str, among: Sequence[str] = ()) -> Kind:
    """A tuple of texts, each once: a YAML list, or one text with commas between them (``deb: a, b``).

    `among` are those that an editor offers.
    """

    def read_strings(node: yaml.Node) -> tuple[Any, ...]:
        found: list[Any] = []
        problems: list[Problem] = []
        for text, item in _items(node, problems):
            try:
                found.append(_checked(check, text, item))
            except Mistake as wrong:
                problems.extend(wrong.problems)
        if problems:
            raise Mistake(*problems)
        return tuple(dict.fromkeys(found))

    return Shaped(read_strings, _list({"enum": list(among)} if among else TEXT))


def lines(check: Check = str) -> Kind:
    """A tuple of texts, a line each: a YAML list, or one text. Commas and tabs are parts of a line."""

    def read_lines(node: yaml.Node) -> tuple[Any, ...]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if isinstance(node, yaml.SequenceNode):
            require(node, "seq")
        found: list[Any] = []
        problems: list[Problem] = []
        if not items:
            problems.extend(mistake(node, "the list is empty; write something into it, or leave it out").problems)
        for item in items:
            try:
                found.append(_checked(check, _text(item), item))
            except Mistake as wrong:
                problems.extend(wrong.problems)
        if problems:
            raise Mistake(*problems)
        return tuple(found)

    return Shaped(read_lines, _list(TEXT))


def string_map(check_name: Check) -> Kind:
    """A dict of text by name. The text may have several lines."""

    def value(node: yaml.Node) -> str:
        text = _text(node)
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
            raise mistake(node, f"{quoted(text)} has characters that no process can be given; leave them out")
        return text

    def absent(node: yaml.Node) -> str:
        raise mistake(node, 'there is no value; write "" for an empty one')

    return named(check_name, Shaped(value, TEXT), absent)


def _boolean(node: yaml.Node) -> bool:
    text = _scalar(node).lower()
    if not node.tag.endswith(":bool") or text not in yaml.SafeLoader.bool_values:
        raise mistake(node, f"{quoted(_scalar(node))} is neither true nor false; write one of them, without quotes")
    return yaml.SafeLoader.bool_values[text]


boolean: Kind = Shaped(_boolean, {"type": "boolean"})
"""True or False, in any of YAML's spellings (``yes``, ``on``)."""


def integer(least: int = 0, most: int = 10**9) -> Kind:
    """A whole number, `least` and `most` included."""

    def read_integer(node: yaml.Node) -> int:
        text = _scalar(node)
        if not _INTEGER.fullmatch(text) or not least <= int(text[:20]) <= most:
            raise mistake(node, f"{quoted(text)} is no whole number from {least} to {most}; write one, such as {least}")
        return int(text)

    return Shaped(read_integer, {"type": "integer", "minimum": least, "maximum": most})


def size(least: int = 1) -> Kind:
    """Bytes, `least` or more: ``1GB`` and ``300 MB`` are powers of 1000, ``64KiB`` is of 1024, a number alone is bytes."""

    def read_size(node: yaml.Node) -> int:
        found = _amount(node, SIZES)
        if found is None or found != int(found) or not least <= found < 2**63:
            advice = f"write {least} bytes or more, such as 300MB or 512MiB"
            raise mistake(node, f"{quoted(_scalar(node))} is no size; {advice}")
        return int(found)

    return Shaped(read_size, TEXT)


def duration(zero: bool = False) -> Kind:
    """Seconds, as float: ``5s``, ``10min``, ``2h``; a number alone is seconds. `zero` says whether no time at all will do."""

    def read_duration(node: yaml.Node) -> float:
        found = _amount(node, DURATIONS)
        if found is None or found > YEAR * 1000 or not (found or zero):
            advice = f"write {'0 s' if zero else 'more than 0'} to a year, such as 5s, 10min or 2h"
            raise mistake(node, f"{quoted(_scalar(node))} is no length of time; {advice}")
        return float(found / 1000)

    return Shaped(read_duration, {"type": ["string", "number"]})


def _list(item: Schema) -> Schema:
    """Texts in a list, or in one line with commas between them."""
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": item, "minItems": 1}]}


def _items(node: yaml.Node, problems: list[Problem]) -> Iterator[tuple[str, yaml.Node]]:
    """Each text of a list and where it stands; what is no text is added to `problems`."""
    if not isinstance(node, yaml.SequenceNode):
        yield from ((part.strip(), node) for part in _one_line(node).split(","))
        return
    require(node, "seq")
    if not node.value:
        problems.extend(mistake(node, "the list is empty; write something into it, or leave it out").problems)
    for item in node.value:
        try:
            yield _one_line(item), item
        except Mistake as wrong:
            problems.extend(wrong.problems)


def _amount(node: yaml.Node, units: Mapping[str, int]) -> Decimal | None:
    """The number in a value, times its unit; None if it is not a number with a known unit."""
    match = _AMOUNT.fullmatch(_scalar(node))
    if match is None or match[2].lower() not in units:
        return None
    return Decimal(match[1]) * units[match[2].lower()]


def _one_line(node: yaml.Node) -> str:
    text = _text(node)
    if not text.isprintable():
        raise mistake(node, f"{quoted(text)} has characters that do not print; write it in one line, without them")
    return text


def _text(node: yaml.Node) -> str:
    """The text of a scalar. A plain whole number is text too; whatever else YAML takes for something must be quoted."""
    text, kind = _scalar(node), node.tag.rpartition(":")[2]
    if kind == "null":
        raise mistake(node, "there is an empty value; write one, or leave it out")
    if kind != "str" and not (kind == "int" and _INTEGER.fullmatch(text)):
        if kind not in _MEANINGS:
            require(node, "str")
        meaning = _MEANINGS[kind]
        if kind == "float" and re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", text):
            meaning = f"the number {float(text)}"
        raise mistake(node, f"YAML reads {quoted(text)[1:-1]} as {meaning}; write it in quotes: {quoted(text)}")
    return text


def _scalar(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise mistake(node, f"there is {what(node)} where one value should be; write it alone, in one line")
    return str(node.value)


def _checked(check: Check, text: str, node: yaml.Node) -> Any:
    try:
        return check(text)
    except ValueError as error:
        raise mistake(node, str(error)) from None
