import time

import pytest

from buildless.document import MAX_BYTES, MAX_PROBLEMS, named, read, section, sections
from buildless.errors import DocumentError
from buildless.kinds import integer, string, string_map, strings

KINDS = {"name": string(), "count": integer(), "names": strings(), "inner": section({"count": integer()})}


def said(text, **more):
    return read(text.encode() if isinstance(text, str) else text, "f.yaml", KINDS, **more).checked()


def problems(text, **more):
    with pytest.raises(DocumentError) as caught:
        said(text, **more)
    return caught.value.problems


def test_values_by_key():
    text = "# a comment\nname: shop\nnames: a, b\ninner:\n  count: 3\n"
    assert said(text) == {"name": "shop", "names": ("a", "b"), "inner": {"count": 3}}


def test_a_key_without_a_value_is_as_if_it_were_not_there():
    found = read(b"name:\ncount: 1\ninner:\n", "f.yaml", KINDS)
    assert found.checked() == {"count": 1}
    assert found.lines == {"count": 2}


def test_a_byte_order_mark_and_other_line_ends_are_read():
    assert said(b"\xef\xbb\xbfname: shop\r\ncount: 1\r\n") == {"name": "shop", "count": 1}


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "null\n"])
def test_an_empty_document(text):
    assert problems(text) == ("f.yaml:1: there is nothing in it; write `key: value` lines",)
    assert said(text, optional=True) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n- b\n", "1: there is a list where keys should be; write `key: value` lines"),
        ("hello\n", "1: there is a text where keys should be; write `key: value` lines"),
        (b"name: a\ncount: \xff\n", "2: this is not UTF-8; save the file in that encoding"),
        ("name: a\ncount: \0\n", "2: the character U+0000 may not be in YAML; remove it"),
        ("name: a\n---\nname: b\n", "2: a second document begins here; leave out this line"),
        ("name:\n\tcount: 1\n", "2: there is a tab; write spaces instead"),
        ("name: a: b\n", "1: there is a second `: ` in this line; put quotes round the value that has it"),
        ("name: &a x\nnames: [*a]\n", "2: aliases (*name) are not read here; write the value out, or in quotes"),
        ("a: &a [*a]\n", "1: aliases (*name) are not read here; write the value out, or in quotes"),
        ("!thing {name: a}\n", '1: the tag "!thing" is not known here; leave it out'),
        ("name: !!python/name:os.system x\n", "1: name: the tag "),
        ("? [a]\n: b\n", "1: a key is not plain text; write `key: value`"),
        ("name: a\nname: b\n", '2: "name" is in line 1 already; write it once'),
        ("[" * 20_000, "1: there are lists in lists in lists, too deep; write values flat"),
        ("{a: " * 10_000, "1: there are lists in lists in lists, too deep; write values flat"),
        ("#" * (MAX_BYTES + 1), f"1: it has {MAX_BYTES + 1} bytes; write at most {MAX_BYTES}"),
    ],
)
def test_what_is_not_a_mapping_in_yaml(text, problem):
    (found,) = problems(text)
    assert found.startswith("f.yaml:" + problem)


@pytest.mark.parametrize(
    ("text", "line", "advice"),
    [
        ("name: a\nnames: *.example.com\n", 2, "put quotes round a value that begins with"),
        ("name: >=3.9\n", 1, "put quotes round a value that begins with"),
        ("name: a\nnames: 'x\ncount: 1\n", 2, "close the quotes"),
        ("inner:\n  count: 1\n count: 2\n", 3, "let all keys of one level begin in the same column"),
        (" name: a\ncount: 1\n", 2, "let all keys of one level begin in the same column"),
        ("name: a\n  count: 1\n", 2, "write all keys at one level, no spaces before `count:`"),
    ],
)
def test_bad_yaml_is_told_with_the_way_to_mend_it(text, line, advice):
    (found,) = problems(text)
    assert found.startswith(f"f.yaml:{line}: ")
    assert advice in found


def test_an_unknown_key_names_the_nearest_or_all():
    assert problems("nmae: a\nwhatever: b\n") == (
        'f.yaml:1: unknown key "nmae"; did you mean name?',
        'f.yaml:2: unknown key "whatever"; write one of name, count, names, inner',
    )


def test_another_spelling_names_the_right_one():
    assert problems("title: a\n", renamed={"title": "name"}) == (
        "f.yaml:1: `title` is called `name` here; write name:",
    )


def test_ignored_keys_are_noted_with_their_lines_and_those_below_them():
    found = read(b"cron: [anything: {}]\nservice.db:\nname: a\n", "f.yaml", KINDS, ignored=("cron", "service"))
    assert found.checked() == {"name": "a"}
    assert found.ignored == {"cron": 1, "service.db": 2}


def test_all_mistakes_are_told_together_in_the_order_of_lines():
    found = read(b"count: x\nname: [a]\ninner:\n  cuont: 1\n  count: no\nnames:\n  - a\n  - [b]\n", "f.yaml", KINDS)
    found.problem("name", "it does not fit")
    found.problem("missing", "it is missing")
    with pytest.raises(DocumentError) as caught:
        found.checked()
    starts = ["1: count:", "1: missing: it", "2: name: there is a list", "2: name: it does not fit"]
    starts += ['4: inner: unknown key "cuont"', "5: inner.count:", "8: names: there is a list"]
    assert len(caught.value.problems) == len(starts)
    for problem, start in zip(caught.value.problems, starts):
        assert problem.startswith("f.yaml:" + start)


def test_free_names_are_checked_and_so_are_their_values():
    def short(name):
        if len(name) > 3:
            raise ValueError(f"{name} is long")

    kinds = {"sizes": named(short, integer(), lambda node: 0), "places": sections(short, {"count": integer()})}
    text = b"sizes: {a: 1, b: }\nplaces: {x: {count: 1}, y: }\n"
    assert read(text, "f", kinds).checked() == {"sizes": {"a": 1, "b": 0}, "places": {"x": {"count": 1}, "y": {}}}
    with pytest.raises(DocumentError) as caught:
        read(b"sizes: {long: x}\nplaces:\n  longer:\n    count: z\n", "f", kinds).checked()
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        "f:1: sizes: long is long",
        'f:1: sizes.long: "x" is no whole number from 0 to 1000000000',
        "f:3: places: longer is long",
        'f:4: places.longer.count: "z" is no whole number from 0 to 1000000000',
    ]


def test_very_many_mistakes_are_counted():
    found = problems("".join(f"x{number}: 1\n" for number in range(5000)))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == f"f.yaml:{MAX_PROBLEMS + 1}: and {5000 - MAX_PROBLEMS} more mistakes; correct those above first"


@pytest.mark.parametrize("text", ["[" * 65_000, "- " * 32_000, "a: " + "'" * 65_000, "? " * 32_000, "a,\n" * 21_000])
def test_the_worst_document_of_the_largest_size_is_refused_soon(text):
    began = time.process_time()
    assert problems(text)
    assert time.process_time() - began < 10


def test_names_in_messages_are_such_as_can_be_shown():
    kinds = {"env": string_map(str)}
    with pytest.raises(DocumentError) as caught:
        read(b'env: {"\\x1f": ~, good: ~}\n', "x.yaml", kinds).checked()
    assert [problem.partition(": there")[0] for problem in caught.value.problems] == [
        'x.yaml:1: env."\\u001f"', "x.yaml:1: env.good",
    ]  # fmt: skip
