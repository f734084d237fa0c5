"""``/usr/lib/gitdeploy/mail APP SENDER RECIPIENT``: what postfix runs for each message, as a user that may do nothing else.

It hands the message to the app's own process (buildless/receive.py), which systemd starts, and ends with the exit status of its
command. Where there is none to hand it to the message stays in the queue.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from typing import IO

from buildless.mail import LATER
from buildless.node.layout import AppLayout

USER = "gitdeploy-mail"
AGAIN = "the application is not there just now"


def hand_over(app: AppLayout, sender: str, recipient: str, message: IO[bytes]) -> tuple[int, str]:
    """The exit status for postfix, and what to tell the sender of a message that is refused."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(app.mail_socket))
            connection.sendall(json.dumps({"sender": sender, "recipient": recipient}).encode() + b"\n")
            with connection.makefile("wb") as into:
                shutil.copyfileobj(message, into)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as source:
                answer = json.loads(source.read() or b"null")
    except (OSError, ValueError):
        return LATER, AGAIN
    return (int(answer["status"]), str(answer["text"])) if answer else (LATER, AGAIN)


def main(app: AppLayout) -> None:
    status, text = hand_over(app, sys.argv[2], sys.argv[3], sys.stdin.buffer)
    sys.stdout.write(f"{text}\n" if text else "")
    sys.exit(status)
