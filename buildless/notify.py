"""Tells systemd that a web server is ready, once all of its processes have loaded the application (sd_notify(3))."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios
from typing import Optional


class Notify:
    """Counts, over all processes that are forked from this one, how many have loaded. `address` is systemd's NOTIFY_SOCKET.

    What is in a pipe is counted by the kernel: each process adds a byte and then looks, so the last one sees all of them.
    """

    def __init__(self, address: Optional[str], processes: int) -> None:
        self.address, self.processes = address, processes
        self.reader, self.writer = os.pipe()

    def loaded(self) -> None:
        """This process has loaded the application. Replacements that come later have nothing to tell."""
        if self.address is None or self.count() >= self.processes:
            return
        os.write(self.writer, b"1")
        if self.count() >= self.processes:
            send(self.address, b"READY=1")

    def count(self) -> int:
        found = array.array("i", [0])
        fcntl.ioctl(self.reader, termios.FIONREAD, found)
        return found[0]


def send(address: str, message: bytes) -> None:
    """A datagram for systemd; an address that begins with @ is in the kernel's own namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message, "\0" + address[1:] if address.startswith("@") else address)
