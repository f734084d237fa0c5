"""``setup-node NAME...``: from bare machines to nodes, and whatever is new to those that are nodes already; all at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

from ..config import Config
from ..errors import GitdeployError, Refused
from ..names import quoted
from ..nodes.fleet import Fleet
from ..nodes.setup import Setup
from ..outfit import outfit, read_kit
from .call import LocalCall, LocalSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--new-host-key", action="store_true")


async def run(call: LocalCall) -> int:
    chosen = machines(call.args.names, call.config, call.fleet)
    await call.logins.make(call.runner)
    kit = read_kit()
    failed: list[str] = []

    async def one(name: str) -> None:
        machine = call.fleet.get(name)
        wanted = outfit(kit, machine, call.config, call.fleet, call.logins)
        setup = Setup(call.runner, call.fleet, call.logins, machine, wanted, teller(call, name))
        await setup.run(call.args.new_host_key)

    def fail(failure: Failure, name: str) -> None:
        failed.append(name)
        tell(call, name, failure)

    await DeferredList([Deferred.fromCoroutine(one(name)).addErrback(fail, name) for name in chosen])
    return 1 if failed else 0


def teller(call: LocalCall, name: str) -> Callable[[str], None]:
    """Where the lines of one machine go: all of them say which one it is."""
    return lambda line: call.say(f"{name}: {line}")


def tell(call: LocalCall, name: str, failure: Failure) -> None:
    """Say why a machine is not set up, in full. The others go on."""
    if failure.check(CancelledError):
        return
    error = failure.value
    if not isinstance(error, GitdeployError):
        call.terminal.warn(failure.getTraceback())
        return
    words = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
    for line in (f"gitdeploy: {words}", *(f"gitdeploy: {name}:   {detail}" for detail in error.details)):
        call.terminal.warn(line)


def machines(words: Sequence[str], settings: Config, fleet: Fleet) -> list[str]:
    """The machines that `words` name, each once: nodes, or environments for all that they need. Raises Refused, NotFound."""
    found: list[str] = []
    for word in words:
        if word in fleet.names() or word not in settings.environments:
            found.append(fleet.get(word).name)
            continue
        listed = settings.environments[word].members
        if not listed:
            raise Refused(f"{quoted(word)} runs on this machine alone; list nodes for it in gitdeploy.yaml: `nodes:`")
        found += [fleet.named(word, key, name).name for key, name in listed]
    return list(dict.fromkeys(found))


SPEC = LocalSpec("setup-node", "set up machines, or an environment's, as nodes; safe to repeat", arguments, run)
