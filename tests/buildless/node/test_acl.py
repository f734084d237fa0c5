"""Who may read what an application stores for all to see."""

import os
import shutil
import stat
import subprocess

import pytest

from buildless.node.acl import let_read

OWNER, GROUP, STRANGER = 61001, 61002, 61003
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away and be somebody else"),
    pytest.mark.skipif(shutil.which("setfacl") is None, reason="setfacl is missing (Debian: acl)"),
]


def can_read(path, user, group):
    return subprocess.run(("cat", path), user=user, group=group, extra_groups=(), capture_output=True).returncode == 0


@pytest.fixture
def public(tmp_path):
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        if parent.owner() == "root" and str(parent) != "/tmp":
            parent.chmod(0o755)
    top = tmp_path / "public"
    top.mkdir(0o700)
    (top / "before").write_text("x")
    (top / "before").chmod(0o400)
    (top / "link").symlink_to("/etc/passwd")
    for path in (top, top / "before"):
        os.chown(path, OWNER, OWNER)
    let_read(top, GROUP)
    top.chmod(0o750)
    return top


def test_what_was_there_is_read_by_the_group_alone(public):
    assert can_read(public / "before", STRANGER, GROUP) and can_read(public / "before", OWNER, OWNER)
    assert not can_read(public / "before", STRANGER, STRANGER)
    assert stat.S_IMODE(os.stat("/etc/passwd").st_mode) == 0o644, "a link is not followed"


def test_so_is_what_is_made_later(public):
    script = "umask 077 && mkdir -m 0750 $0/sub && echo x > $0/sub/later && chmod 0640 $0/sub/later"
    subprocess.run(("sh", "-c", script, public), user=OWNER, group=OWNER, extra_groups=(), check=True)
    assert stat.S_IMODE((public / "sub").stat().st_mode) == 0o750
    assert can_read(public / "sub" / "later", STRANGER, GROUP)
    assert not can_read(public / "sub" / "later", STRANGER, STRANGER)


def test_what_is_private_stays_so(public):
    script = "echo x > $0/private && chmod 0600 $0/private"
    subprocess.run(("sh", "-c", script, public), user=OWNER, group=OWNER, extra_groups=(), check=True)
    assert not can_read(public / "private", STRANGER, GROUP)
