"""``keys:add``, ``keys:list``, ``keys:remove``: who may push."""

from __future__ import annotations

import argparse
import shlex

from ...errors import Refused
from .call import Call, CommandSpec, as_json


def user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER")


def user_and_key(parser: argparse.ArgumentParser) -> None:
    user(parser)
    parser.add_argument("fingerprint", nargs="?", metavar="SHA256:...")


def check(call: Call) -> None:
    """Over ssh, other people's keys are for the admins in gitdeploy.yaml. Raises Refused."""
    if call.args.user != call.user and not call.administers():
        raise Refused(f"{call.user} may change no keys but his own; see admins in gitdeploy.yaml")


async def add(call: Call) -> int:
    check(call)
    for key in call.users.add(call.args.user, await call.io.read()):
        call.io.write(f"{key.user} may push with {key.fingerprint} ({key.type})")
    return 0


async def show(call: Call) -> int:
    keys = call.users.all()
    if call.args.json:
        call.json(
            [
                {"user": key.user, "fingerprint": key.fingerprint, "type": key.type, "comment": key.comment}
                for key in keys
            ]
        )
    elif keys:
        call.table(
            [(key.user, key.fingerprint, key.type, key.comment) for key in keys], ("USER", "KEY", "TYPE", "COMMENT")
        )
    else:
        home = call.site.home
        add = f"gitdeploy --home {shlex.quote(str(home))} keys:add NAME < id_ed25519.pub"
        call.io.write(f"Nobody may push yet to the server of {home}; write: {add}")
    return 0


async def remove(call: Call) -> int:
    check(call)
    for key in call.users.remove(call.args.user, call.args.fingerprint):
        call.io.write(f"{key.user} may no longer push with {key.fingerprint}")
    return 0


SPECS = (
    CommandSpec(
        "keys:add",
        "let somebody push; the public key comes on standard input",
        user,
        add,
        offline=True,
        makes=True,
        reads=lambda args: True,
    ),
    CommandSpec("keys:list", "who may push", as_json, show, offline=True),
    CommandSpec("keys:remove", "let somebody push no longer, or not with one key", user_and_key, remove, offline=True),
)
