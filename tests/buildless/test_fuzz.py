"""Whatever stands in app.yaml, it is a Description or a DocumentError, and takes neither long nor much room."""

import string

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from buildless.description import FORMERLY, KINDS, TO_COME, Description, parse
from buildless.document import MAX_PROBLEMS
from buildless.errors import DocumentError

BOUNDED = settings(deadline=None, derandomize=True, max_examples=400, suppress_health_check=list(HealthCheck))
LONGEST = 2000
"""Characters of a message; a name in it is cut at 60."""

ODD = some.sampled_from([
    "", "~", "null", "no", "3.10", "1e999", ".inf", "0x_", "0b_", "1_0", "12:30", "2024-99-99", "=", "<<", "*a", "&a b", "!x y",
    "!!int x", "!!binary x", "python, wsgi", "static", "hello:application", ">=3.9", "a/../..", "~root", "[]", "{}", "[[a]]",
    "\ud800", "\0", "\x85", "\u2028", "é" * 300, "a," * 500, "9" * 5000, "https://x", "x/y", "../x/y", "*.x/y", "/y",
    "://", "%TAG ! x",
    "? a", "- a", "a: b: c", "'", '"\\ud800"', '"\\x00"', "|\n x\n y", ">-\n x", "postfix a/b boolean maybe", "1" * 4301,
])  # fmt: skip
TEXT = some.one_of(ODD, some.text(max_size=30), some.text(string.printable, max_size=30))
VALUE = some.recursive(
    some.one_of(
        TEXT, some.none(), some.booleans(), some.integers(), some.floats(), some.dates(), some.binary(max_size=9)
    ),
    lambda inner: some.one_of(some.lists(inner, max_size=4), some.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)
KEY = some.one_of(
    some.sampled_from(
        [*KINDS, "service.a\x1fb", *TO_COME, *(old for spellings in FORMERLY.values() for old in spellings)]
    ),
    TEXT,
)


def bounded(text: bytes) -> None:
    """Read it: either it is right, or every mistake is a line with the file and the number of a line."""
    try:
        found = parse(text)
        assert isinstance(found, Description)
        assert all(len(warning) <= LONGEST and warning.isprintable() for warning in found.warnings), found.warnings
    except DocumentError as error:
        assert 1 <= len(error.problems) <= MAX_PROBLEMS + 1
        for problem in error.problems:
            name, line, _ = problem.split(":", 2)
            assert name == "app.yaml" and 1 <= int(line) <= len(text) + 1, problem
            assert len(problem) <= LONGEST and problem.isprintable(), problem


@BOUNDED
@given(some.binary(max_size=200))
def test_any_bytes(text: bytes) -> None:
    bounded(text)


@BOUNDED
@given(some.text(max_size=200))
def test_any_text(text: str) -> None:
    bounded(text.encode("utf-8", "surrogatepass"))


@BOUNDED
@given(
    some.lists(
        some.sampled_from([*KINDS, *ODD.elements, ": ", "\n", "\n  ", "- ", "[", "]", "{", "}", ",", "#", "\t"]),
        max_size=30,
    )
)
def test_any_sequence_of_what_yaml_is_made_of(parts: list[str]) -> None:
    bounded("".join(parts).encode("utf-8", "surrogatepass"))


@BOUNDED
@given(some.lists(some.tuples(KEY, TEXT), max_size=8))
def test_known_keys_with_odd_values_as_people_write_them(pairs: list[tuple[str, str]]) -> None:
    bounded("".join(f"{key}: {value}\n" for key, value in pairs).encode("utf-8", "surrogatepass"))


@BOUNDED
@given(some.dictionaries(KEY, VALUE, max_size=8))
def test_known_keys_with_values_of_any_shape(values: dict[str, object]) -> None:
    try:
        text = yaml.safe_dump(values, allow_unicode=True)
    except (yaml.YAMLError, UnicodeError):
        return
    bounded(text.encode("utf-8", "surrogatepass"))


@BOUNDED
@given(some.sampled_from(sorted(KINDS)), VALUE)
def test_one_odd_value_among_good_ones(key: str, value: object) -> None:
    good = {"platform": ["python", "wsgi"], "app": "hello:application"}
    bounded(yaml.safe_dump({**good, key: value}).encode("utf-8", "surrogatepass"))
