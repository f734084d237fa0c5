"""``config``, ``config:get``, ``config:set``, ``config:unset``: what an environment gives an app beside its tree.

A change is deployed as a push is: the new release must start and answer, or the change does not count.
"""

from __future__ import annotations

import argparse
import functools
import shlex
from collections.abc import Mapping
from dataclasses import replace

from buildless.values import variable

from ...deploy import data
from ...errors import BadName, NotFound
from ...git.configvars import ConfigVars
from ...names import Place, nearest, quoted
from .call import Call, CommandSpec, app, as_json

LONGEST = 65_536
"""Bytes of a value: half of what Linux takes as one string of an environment (MAX_ARG_STRLEN)."""

MOST = 524_288
"""Bytes of all of them; with the arguments they must fit into what execve(2) takes."""


def shown(parser: argparse.ArgumentParser) -> None:
    as_json(parser)
    app(parser)


def one(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("name", metavar="NAME")


def settings(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("settings", metavar="NAME[=VALUE]", nargs="+")


def several(parser: argparse.ArgumentParser) -> None:
    app(parser)
    parser.add_argument("names", metavar="NAME", nargs="+")


def alone(args: argparse.Namespace) -> bool:
    """Whether a value is to come on standard input."""
    return any("=" not in setting for setting in args.settings)


def name_of(text: str) -> str:
    """A name that a config var may have. Raises BadName."""
    try:
        return variable(text)
    except ValueError as error:
        raise BadName(str(error)) from None


def value_of(name: str, text: str) -> str:
    """A value that a process can be given. Raises BadName."""
    if "\0" in text:
        raise BadName(f"the value of {name} has a NUL character, which no process can be given; leave it out")
    if len(text.encode()) > LONGEST:
        raise BadName(f"the value of {name} has more than {LONGEST:,} bytes; put it into a file, and its path here")
    return text


def given(name: str, stdin: str) -> str:
    """The value that comes on standard input, without the newline at its end. Raises BadName where nothing comes."""
    text = stdin.removesuffix("\n")
    if not text:
        raise BadName(f"nothing came on standard input for {name}; to set it to nothing, write: {name}=")
    return value_of(name, text)


def parse(settings: list[str], stdin: str) -> dict[str, str]:
    """The variables that somebody sets; what has no ``=`` gets `stdin`, without the newline at its end. Raises BadName."""
    pairs = [setting.partition("=") for setting in settings]
    if [equals for _, equals, _ in pairs].count("") > 1:
        raise BadName("only one value can come on standard input; write the others as NAME=VALUE")
    found: dict[str, str] = {}
    for name, equals, text in pairs:
        if name in found:
            raise BadName(f"{name} is set twice; leave one of them out")
        found[name_of(name)] = value_of(name, text) if equals else given(name, stdin)
    return found


def of(call: Call, place: Place, begin: str) -> ConfigVars:
    """What is set for an app. Raises NotFound for one that is not there and has nothing set; `begin` is how that begins."""
    found: ConfigVars = call.site.config_vars(place).read(place.environment)
    if not found.id and place.app not in call.site.apps():
        guess = nearest(place.app, call.site.apps())
        advice = f"did you mean {guess}?" if guess else f"before its first push write: {begin}"
        raise NotFound(f"there is no app {place.app} yet, and nothing is set for it; {advice}")
    return found


def existing(config: ConfigVars, name: str) -> str:
    """The value of a variable that must be set. Raises NotFound with the nearest one."""
    if name in config.variables:
        return config.variables[name]
    guess = nearest(name, config.variables)
    advice = f"did you mean {guess}?" if guess else "see: config"
    raise NotFound(f"there is no config var {quoted(name)}; {advice}")


async def config(call: Call) -> int:
    place = call.place(call.args.app)
    found = of(call, place, f"config:set {call.args.app} NAME=VALUE")
    if call.args.json:
        call.json(dict(sorted(found.variables.items())))
    elif found.variables:
        for name, text in sorted(found.variables.items()):
            call.io.write(f"{name}={shlex.quote(text)}")
    else:
        call.io.write(f"{place} has no config vars; write: config:set {call.args.app} NAME=VALUE")
    return 0


async def get(call: Call) -> int:
    place = call.place(call.args.app)
    call.io.write(existing(of(call, place, f"config:set {call.args.app} NAME=VALUE"), call.args.name))
    return 0


async def change(call: Call, place: Place, before: ConfigVars, variables: Mapping[str, str], what: str) -> int:
    """Have `variables` count in place of those before; what runs is deployed once more for that."""
    if dict(variables) == dict(before.variables):
        call.io.write("Nothing to change: it is so already")
        return 0
    if sum(len(name.encode()) + len(text.encode()) + 2 for name, text in variables.items()) > MOST:
        raise BadName(f"all config vars together have more than {MOST:,} bytes; put something of it into files")
    return await deploy_with(call, place, before, replace(before, variables=variables), what)


async def deploy_with(call: Call, place: Place, before: ConfigVars, after: ConfigVars, what: str) -> int:
    """Have `after` count in place of `before`; what runs is deployed once more for that."""
    store = call.site.config_vars(place)
    after = store.propose(place.environment, after, call.user, what, call.site.reactor.seconds())
    if not call.site.is_deployed(place):
        async with data.turn(call.site, place, call.user, call.io.error):  # its first push may be under way, without it
            if not call.site.is_deployed(place):
                store.accept(place.environment, before, after)
                yet = "" if place.app in call.site.apps() else f"there is no app {place.app} yet: "
                call.io.write(f"{what}; {yet}it counts from the first push on")
                return 0
    assert call.again is not None
    show = functools.partial(_show, call)
    await call.again(place, call.user, "config", None, show, (before, after))
    return 0


def _show(call: Call, data: bytes) -> None:
    call.io.write(data.decode().rstrip("\n"))


async def put(call: Call) -> int:
    place = call.place(call.args.app)
    new = parse(call.args.settings, await call.io.read() if alone(call.args) else "")
    before = call.site.config_vars(place).read(place.environment)
    return await change(call, place, before, {**before.variables, **new}, f"Set {', '.join(new)}")


async def unset(call: Call) -> int:
    place = call.place(call.args.app)
    before = of(call, place, f"config:set {call.args.app} NAME=VALUE")
    for name in call.args.names:
        existing(before, name)
    left = {name: text for name, text in before.variables.items() if name not in call.args.names}
    return await change(call, place, before, left, f"Unset {', '.join(call.args.names)}")


SPECS = (
    CommandSpec("config", "what an environment gives an app beside its tree", shown, config, offline=True),
    CommandSpec("config:get", "the value of one of them", one, get, offline=True),
    CommandSpec(
        "config:set",
        "set some of them, and deploy with them; NAME alone: from standard input",
        settings,
        put,
        reads=alone,
    ),
    CommandSpec("config:unset", "let some of them be no more, and deploy without them", several, unset),
)
