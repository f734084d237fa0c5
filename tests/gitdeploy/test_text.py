"""Bytes and numbers as people say them, and text that a terminal only shows."""

from argparse import ArgumentTypeError

import pytest

from gitdeploy.text import count, plain, readable, seconds, size, whole


@pytest.mark.parametrize(
    ("wild", "tame"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\x1b[2J\x1b[1;1Hb", "ab"),
        ("bell\x07 back\x08 nul\x00", "bell back nul"),
        ("tab\tstays\r\nline\rline", "tab\tstays\nline\nline"),
        ("ünïcode", "ünïcode"),
        ("c1 \x9b31mcsi", "c1 31mcsi"),
    ],
)
def test_control_sequences_do_not_reach_a_terminal(wild, tame):
    assert plain(wild) == tame


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("the till\n  is locked", ["the till", "  is locked"]),
        ('{"till": "locked"}', ['{"till": "locked"}']),
        ("", []),
        (
            "<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  <body>\n"
            "    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n",
            ["Internal Server Error"],
        ),
        ("<!doctype html><style>p { a: b }</style><p class=x>a &lt; <b>b</b><br>c<!-- d --><script>e", ["a < b", "c"]),
        ("<p>cut <a href=", ["cut"]),
    ],
)
def test_of_a_page_only_its_words_are_shown(body, lines):
    assert readable(body) == lines


def test_numbers_for_people():
    assert [size(999), size(48_100_000), size(2_500_000_000_000)] == ["999 B", "48.1 MB", "2.5 TB"]
    assert [count(1, "file"), count(6012, "file")] == ["1 file", "6,012 files"]


def test_numbers_of_people():
    assert (whole("20"), seconds("1.5")) == (20, 1.5)
    for read, text in ((whole, "1.5"), (whole, ""), (seconds, "5m")):
        with pytest.raises(ArgumentTypeError, match="; write such as "):
            read(text)
