"""What the pusher sees."""

from gitdeploy.deploy.report import Report


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


def test_whoever_has_no_terminal_is_shown_no_progress():
    sent = []
    report = Report(lambda line: None)
    report.sink, report.quiet = sent.append, True
    report.progress("50%")
    report.step("Delivering")
    assert sent == [b"-----> Delivering\n"]


def test_values_of_several_lines_are_masked_line_by_line():
    said = []
    report = Report(said.append)
    report.mask({"KEY": "-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\n", "TOKEN": "0123456789"})
    report.detail("it is\nMIIEvQIBADAN\nand 0123456789, in short")
    assert said == ["       it is", "       [KEY]", "       and [TOKEN], in short"]
