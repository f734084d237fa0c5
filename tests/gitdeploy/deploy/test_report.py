"""What the pusher sees."""

import pytest

from gitdeploy.deploy.report import Report, count, plain, size


def test_the_fields_own_format():
    kept, sent = [], []
    report = Report(kept.append)
    report.sink = sent.append
    report.step("Delivering")
    report.detail("web1: 3 files\nweb2: 3 files")
    report.progress("50%")
    report.error("it broke", ["because"])
    assert kept == [
        "-----> Delivering", "       web1: 3 files", "       web2: 3 files", "       because", " !     it broke",
    ]  # fmt: skip
    assert b"".join(sent).decode() == "\n".join(kept[:3]) + "\n       50%\r" + "\n".join(kept[3:]) + "\n"


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


def test_numbers_for_people():
    assert [size(999), size(48_100_000), size(2_500_000_000_000)] == ["999 B", "48.1 MB", "2.5 TB"]
    assert [count(1, "file"), count(6012, "file")] == ["1 file", "6,012 files"]


def test_values_of_several_lines_are_masked_line_by_line():
    said = []
    report = Report(said.append)
    report.mask({"KEY": "-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\n", "TOKEN": "0123456789"})
    report.detail("it is\nMIIEvQIBADAN\nand 0123456789, in short")
    assert said == ["       it is", "       [KEY]", "       and [TOKEN], in short"]
