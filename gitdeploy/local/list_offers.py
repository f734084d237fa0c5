"""``list-sizes`` and ``list-images``: what a provider offers, and what create-node takes if nothing else is said."""

from __future__ import annotations

import argparse
import platform
from dataclasses import asdict

from ..errors import Refused
from ..nodes import offers, providers
from ..nodes.cloud import Cloud
from ..nodes.work import Work
from ..ssh.commands.call import as_json
from .call import LocalCall, LocalSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--provider", metavar="P")
    as_json(parser)


def connect(call: LocalCall) -> Cloud:
    name = providers.only(call.config.providers, call.args.provider)
    return providers.connect(name, call.config.providers[name])


async def sizes(call: LocalCall) -> int:
    cloud = connect(call)
    call.terminal.glance(f"asking {cloud.name}")
    found = await Work(call.reactor, cloud.sizes).result()
    found.sort(key=lambda one: (one.ram, one.price is None, one.price or 0.0, one.id))
    if call.args.json:
        call.json([asdict(one) for one in found])
        return 0
    rows = [
        (
            one.id,
            f"{one.ram} MB",
            f"{one.disk} GB" if one.disk else "-",
            "-" if one.price is None else f"{one.price:g}",
            one.note,
        )
        for one in found
    ]
    call.table(rows, ("SIZE", "MEMORY", "DISK", "PRICE/HOUR", ""))
    try:
        call.say(f"create-node takes {offers.smallest(found, platform.machine()).id} if nothing else is said (--size)")
    except Refused as error:
        call.say(str(error))
    return 0


async def images(call: LocalCall) -> int:
    cloud = connect(call)
    call.terminal.glance(f"asking {cloud.name}")
    found = await Work(call.reactor, cloud.images).result()
    if call.args.json:
        call.json([asdict(one) for one in found])
        return 0
    call.table([(one.id, one.name, one.note or one.about) for one in found], ("IMAGE", "NAME", ""))
    try:
        call.say(f"create-node takes {offers.newest(found, platform.machine()).id} if nothing else is said (--image)")
    except Refused as error:
        call.say(str(error))
    return 0


SPECS = (
    LocalSpec("list-sizes", "the sizes of machines that a provider has", arguments, sizes),
    LocalSpec("list-images", "what machines of a provider can begin with", arguments, images),
)
