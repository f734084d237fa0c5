import pytest

from buildless import kinds
from buildless.document import read
from buildless.errors import DocumentError


def value(kind, text):
    return read(f"key: {text}\n".encode(), "f", {"key": kind}).checked()["key"]


def problem(kind, text):
    with pytest.raises(DocumentError) as caught:
        value(kind, text)
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop", "shop"),
        ("'3.10'", "3.10"),
        ('"no"', "no"),
        ("8000", "8000"),
        ("<3", "<3"),
        ("1e3", "1e3"),
        ("!!str 3.10", "3.10"),
    ],
)
def test_string(text, expected):
    assert value(kinds.string(), text) == expected


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("3.10", "the number 3.1"),
        (".5", "a number"),
        ("0x1f", "a number"),
        ("010", "a number"),
        ("12:30", "a number"),
        ("1_000", "a number"),
        ("no", "true or false"),
        ("On", "true or false"),
        ("2024-01-31", "a date"),
        ("=", "a default"),
        ("<<", "a merge"),
    ],
)
def test_what_yaml_takes_for_something_else_must_be_quoted(text, meaning):
    assert problem(kinds.string(), text) == f'f:1: key: YAML reads {text} as {meaning}; write it in quotes: "{text}"'


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[a]", "there is a list where one value should be"),
        ("{a: b}", "there is a mapping where one value should be"),
        ("!thing a", 'the tag "!thing" is not known here'),
        ('"a\\nb"', '"a\\nb" has characters that do not print'),
        ('"a\\e[31mb"', '"a\\u001b[31mb" has characters that do not print'),
        ('"\\ud800"', '"\\ud800" has characters that do not print'),
    ],
)
def test_what_is_no_string(text, start):
    assert problem(kinds.string(), text).startswith(f"f:1: key: {start}")


def test_a_check_says_what_is_wrong_with_text_or_turns_it_into_something():
    assert value(kinds.string(str.upper), "a") == "A"
    assert problem(kinds.string(int), "a") == "f:1: key: invalid literal for int() with base 10: 'a'"


@pytest.mark.parametrize("text", ["a, b", "[a, b]", "a , b, a", "\n  - a\n  - b", "\n- a\n- b"])
def test_strings(text):
    assert value(kinds.strings(), text) == ("a", "b")


def test_every_item_of_strings_is_checked():
    with pytest.raises(DocumentError) as caught:
        value(kinds.strings(int), "\n  - a\n  - '1'\n  - 3.5\n  - [b]\n  -")
    starts = [
        "f:2: key: invalid",
        "f:4: key: YAML reads 3.5",
        "f:5: key: there is a list",
        "f:6: key: there is an empty",
    ]
    assert len(caught.value.problems) == len(starts)
    for found, start in zip(caught.value.problems, starts):
        assert found.startswith(start)


@pytest.mark.parametrize("text", ["[]", "{}", "{a: b}", "!thing [a]"])
def test_what_is_no_list_of_strings(text):
    assert problem(kinds.strings(), text)


def test_string_map():
    assert value(kinds.string_map(str), '{A: b, C: 8000, D: "", E: "x\\ny"}') == {
        "A": "b",
        "C": "8000",
        "D": "",
        "E": "x\ny",
    }


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("{DEBUG: no}", "key.DEBUG: YAML reads no as true or false"),
        ("{A: 3.10}", "key.A: YAML reads 3.10 as the number 3.1"),
        ("{A: }", 'key.A: there is no value; write "" for an empty one'),
        ('{A: "a\\0b"}', 'key.A: "a\\u0000b" has characters that no process can be given'),
        ('{A: "\\udcff"}', 'key.A: "\\udcff" has characters that no process can be given'),
        ("{A: [b]}", "key.A: there is a list"),
        ("[A]", "key: there is a list where keys should be"),
        ("A", "key: there is a text where keys should be"),
    ],
)
def test_what_is_no_string_map(text, start):
    assert problem(kinds.string_map(str), text).startswith(f"f:1: {start}")


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("No", False), ("on", True)])
def test_boolean(text, expected):
    assert value(kinds.boolean, text) is expected


@pytest.mark.parametrize("text", ["1", "'true'", "maybe", "[true]", "!!bool x"])
def test_what_is_no_boolean(text):
    assert problem(kinds.boolean, text)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("10", 10), ("'7'", 7)])
def test_integer(text, expected):
    assert value(kinds.integer(1, 10), text) == expected


@pytest.mark.parametrize(
    "text", ["0", "11", "-1", "1.0", "010", "1_0", "1:30", "x", "''", "9" * 5000, "[1]", "yes", "٣"]
)
def test_what_is_no_such_integer(text):
    assert problem(kinds.integer(1, 10), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1GB", 10**9),
        ("300 MB", 300_000_000),
        ("64KiB", 65_536),
        ("2GiB", 2**31),
        ("1.5kB", 1500),
        ("1TB", 10**12),
        ("10 b", 10),
        ("1000000", 10**6),
        ("'5'", 5),
        ("0.1GB", 10**8),
    ],
)
def test_size(text, expected):
    found = value(kinds.size(), text)
    assert (found, type(found)) == (expected, int)


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "1 GB!", "GB", "1XB", "99999999999TB", "1e9", "010", "no", "[1GB]", "٣MB"]
)
def test_what_is_no_size(text):
    assert problem(kinds.size(), text)


def test_a_size_that_is_too_small():
    assert problem(kinds.size(16_000_000), "300").startswith('f:1: key: "300" is no size; write 16000000 bytes or more')


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5s", 5), ("10min", 600), ("2h", 7200), ("1d", 86400), ("500ms", 0.5), ("0.3", 0.3), ("7", 7), ("1.5 h", 5400)],
)
def test_duration(text, expected):
    found = value(kinds.duration(), text)
    assert (found, type(found)) == (expected, float)


@pytest.mark.parametrize("text", ["0", "0s", "-1s", "5m", "1:30", "soon", "400d", "1e3s", "[5s]", "yes"])
def test_what_is_no_duration(text):
    assert problem(kinds.duration(), text)


def test_no_time_at_all_where_that_will_do():
    assert value(kinds.duration(zero=True), "0s") == 0.0
