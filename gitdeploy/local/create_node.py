"""``create-node NAME``: have a provider make a machine, or take over one that is there."""

from __future__ import annotations

import argparse
import ipaddress
import platform
import re

from ..errors import BadName, Refused
from ..names import node_name, quoted
from ..nodes import providers
from ..nodes.creation import Creation, Wanted
from ..nodes.fleet import APPS, ROLES, Machine
from ..text import seconds
from .call import LocalCall, LocalSpec

WAIT = 600.0
TAKING = 30.0  # for one that runs already
RESERVED = "embedded"
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.?")
LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--provider", metavar="P")
    parser.add_argument("--size", metavar="S")
    parser.add_argument("--image", metavar="I")
    parser.add_argument("--from", metavar="HOST[:PORT]", dest="origin")
    parser.add_argument("--role", choices=ROLES, default=APPS)
    parser.add_argument("--login", metavar="USER")
    parser.add_argument("--wait", metavar="SECONDS", type=seconds)


async def run(call: LocalCall) -> int:
    args = call.args
    name = free_name(call, args.name)
    if args.login and not LOGIN.fullmatch(args.login):
        raise BadName(f"{quoted(args.login)} cannot be a user's name on a machine; write one such as root or admin")
    if args.origin and (args.provider or args.size or args.image):
        raise BadName(
            "--from takes a machine that is there, and no provider makes it; leave out --provider, --size, --image"
        )
    await call.logins.make(call.runner)
    creation = Creation(call.reactor, call.runner, call.fleet, call.logins, call.say, call.terminal.show)
    wait = args.wait if args.wait is not None else TAKING if args.origin else WAIT
    if args.origin:
        address, port = parsed(args.origin)
        machine = await creation.take(Machine(name, address, port, args.login or "root", roles=(args.role,)), wait)
    else:
        provider = providers.only(call.config.providers, args.provider)
        cloud = providers.connect(provider, call.config.providers[provider])
        wanted = Wanted(args.size, args.image, args.login, (args.role,), wait, platform.machine())
        machine = await creation.create(cloud, name, wanted)
    call.say(f"{machine.name} is there, at {machine.address}; next: gitdeploy setup-node {machine.name}")
    return 0


def free_name(call: LocalCall, text: str) -> str:
    """A name that no node has yet. Raises BadName or Refused."""
    name = node_name(text)
    if name == RESERVED:
        raise BadName(
            f"{RESERVED} is what runs applications in the server's own machine; take another name, such as web1"
        )
    if name in call.fleet.names():
        raise Refused(f"there is a node {name} already; take another name, or first: gitdeploy destroy-node {name}")
    return name


def parsed(text: str) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT``, ``[ADDRESS]:PORT``, or an address of IPv6 alone. Raises BadName."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?|([^:\[\]]+)(?::(\d{1,5}))?", text)
    host, port = (match[1] or match[3], int(match[2] or match[4] or 22)) if match else (text, 22)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not HOST.fullmatch(host):
            raise BadName(
                f"{quoted(text)} is no host; write HOST, HOST:PORT or [ADDRESS]:PORT, such as 192.0.2.7:2222"
            ) from None
    if not 0 < port < 65536:
        raise BadName(f"{port} is no port; write one up to 65535")
    return host, port


SPEC = LocalSpec(
    "create-node",
    "have a provider make a machine for apps, or take one that is there (--from)",
    arguments,
    run,
    makes=True,
)
