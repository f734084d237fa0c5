"""What becomes of a verb that fails: an answer that says what to do."""

import errno
import os

import pytest

from buildless.errors import NodeError
from buildless.node.__main__ import answer
from buildless.node.layout import Layout


def failing(error):
    def verb(layout):
        raise error

    return {"fail": verb}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_that(tmp_path, number):
    error = OSError(number, os.strerror(number), "/srv/apps/shop")
    said = answer(failing(error), Layout(tmp_path), {"verb": "fail"}, lambda text: None)["error"]
    assert said.startswith("its disk is full (")
    assert said.endswith("make room on it, or keep fewer versions (keep: versions in gitdeploy.yaml), then push again")


def test_other_failures_are_named_and_only_defects_are_traced(tmp_path):
    def said(error):
        return answer(failing(error), Layout(tmp_path), {"verb": "fail"}, lambda text: None)

    assert said(NodeError("no", "because")) == {"error": "no", "details": ["because"]}
    assert said(PermissionError(13, "Permission denied", "/x")) == {
        "error": "PermissionError: [Errno 13] Permission denied: '/x'",
        "details": [],
    }
    assert "Traceback (most recent call last):" in said(ZeroDivisionError("x"))["details"]
