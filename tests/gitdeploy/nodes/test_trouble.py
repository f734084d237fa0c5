"""What tools say when a machine cannot be worked with, and what we say to do about it."""

from pathlib import Path

import pytest

from gitdeploy.errors import CommandFailed
from gitdeploy.nodes.fleet import Logins, Machine
from gitdeploy.nodes.trouble import explained

WEB1 = Machine("web1", "192.0.2.1", login="admin")
SSH = "ssh ended with exit code 255"


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    (tmp_path / "setup_ed25519.pub").write_text("ssh-ed25519 AAAA gitdeploy setup\n")
    return Logins(tmp_path)


@pytest.mark.parametrize(
    ("first", "said", "expected"),
    [
        (
            SSH, "ssh: connect to host 192.0.2.1 port 22: Connection refused",
            "web1: it cannot be reached at 192.0.2.1:22; see whether it runs (gitdeploy list-nodes) and lets us to that port",
        ),
        (
            SSH, "Connection closed by 192.0.2.1 port 22",
            "web1: it cannot be reached at 192.0.2.1:22; see whether it runs (gitdeploy list-nodes) and lets us to that port",
        ),
        (
            SSH, "ssh: Could not resolve hostname web1.invalid: Name or service not known",
            "web1: there is no host 192.0.2.1; correct the address: gitdeploy create-node web1 --from HOST",
        ),
        (
            SSH, "admin@192.0.2.1: Permission denied (publickey).",
            "web1: admin may not log in with our key; add this line to ~admin/.ssh/authorized_keys there:"
            " ssh-ed25519 AAAA gitdeploy setup",
        ),
        (
            SSH, "The fingerprint for the ED25519 key sent by the remote host is\nSHA256:8G3V+/x.\nHost key verification failed.",
            "web1: the machine at 192.0.2.1:22 has another host key than before (SHA256:8G3V+/x) and was not talked to;"
            " if it was made again on purpose: gitdeploy setup-node --new-host-key web1",
        ),
        (
            SSH, "Connection to 192.0.2.1 closed by remote host.",
            "web1: the connection was lost; set it up again: it goes on where it was",
        ),
        (SSH, "", "web1: the connection was lost; set it up again: it goes on where it was"),
        (
            "ssh ended with exit code 1", "sudo: a password is required",
            "web1: admin needs sudo without a password there, or log in as root: create-node --login root",
        ),
        (
            "ssh ended with exit code 127", "bash: line 1: sudo: command not found",
            "web1: there is no sudo; install it there, or log in as root: create-node --login root",
        ),
        (
            "rsync ended with exit code 11", 'rsync: write failed on "/etc/x": No space left on device (28)',
            "web1: its disk is full; make room there, then set it up again",
        ),
        ("ssh ended with exit code 3", "what nobody foresaw", "web1: ssh ended with exit code 3; see below"),
    ],
)  # fmt: skip
def test_what_went_wrong_says_what_to_do(logins: Logins, first: str, said: str, expected: str) -> None:
    assert str(explained(WEB1, logins, CommandFailed(first, "ssh ...", *said.splitlines()))) == expected


def test_a_cloud_image_says_whom_it_wants(logins: Logins) -> None:
    said = 'Please login as the user "debian" rather than the user "admin".'
    error = explained(WEB1, logins, CommandFailed("ssh ended with exit code 142", "ssh ..."), [said])
    assert str(error) == (
        "web1: it wants debian to log in, not admin;"
        " tell: gitdeploy create-node web1 --from 192.0.2.1:22 --login debian"
    )


def test_what_is_not_understood_is_shown_in_full(logins: Logins) -> None:
    assert explained(WEB1, logins, CommandFailed("rsync ended with exit code 12", "rsync ...", "a", "b")).details == (
        "a",
        "b",
    )
