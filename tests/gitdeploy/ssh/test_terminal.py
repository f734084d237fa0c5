"""What clients say of their terminals, which need not be sense."""

import struct

import pytest
from twisted.conch.ssh.common import NS

from gitdeploy.ssh.terminal import Terminal


def asked(term, columns, rows):
    return NS(term) + struct.pack(">LLLL", columns, rows, 0, 0) + NS(b"\0")


@pytest.mark.parametrize(
    ("data", "terminal"),
    [
        (asked(b"xterm-256color", 100, 30), Terminal("xterm-256color", 30, 100)),
        (asked(b"", 0, 0), Terminal("dumb", 24, 80)),
        (asked(b"vt100\n$(id)", 80, 24), Terminal("dumb", 24, 80)),
        (asked(b"x" * 65, 2**32 - 1, 2**31), Terminal("dumb", 65535, 65535)),
        (asked("é".encode("latin-1"), 1, 1), Terminal("dumb", 1, 1)),
        (NS(b"xterm"), Terminal("xterm", 24, 80)),
    ],
)
def test_a_terminal(data, terminal):
    assert Terminal.read(data) == terminal


def test_another_size():
    terminal = Terminal("xterm", 24, 80)
    assert terminal.resized(struct.pack(">LLLL", 120, 0, 0, 0)) == Terminal("xterm", 24, 120)
    assert terminal.resized(b"\0") == terminal
