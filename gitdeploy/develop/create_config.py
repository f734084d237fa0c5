"""``create-config [DIR] TARGET``: a directory with a configuration to begin with, made from the application's template."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ..errors import Refused
from ..names import quoted
from .call import DevelopCall, DevelopSpec
from .development import Development, split


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [DIR] TARGET"
    parser.add_argument("words", metavar="TARGET", nargs="+")


async def run(call: DevelopCall) -> int:
    words = call.args.words  # a single word is the target, also if it is a directory
    directory, words = split(words, call.directory) if len(words) > 1 else (call.directory, words)
    if len(words) != 1:
        raise Refused("write the one directory that is to be made: gitdeploy create-config TARGET")
    development = Development.find(directory, call.environ)
    said, target = development.description.config, call.directory / words[0]
    if said is None or not (template := said.template or said.default):
        raise Refused("app.yaml names no template; write `config: {template: DIR}`, and put files into DIR")
    source = development.top / template
    if not source.is_dir():
        raise Refused(f"there is no directory {template} in {development.top}; app.yaml names it as the template")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused(f"{quoted(words[0])} is there already, and not empty; name another one")
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        call.say(str(Path(words[0]) / path.relative_to(target)))
    call.say(
        f"Change what it has, then: tar -C {words[0]} -c . | ssh -p PORT deploy@HOST config:put {development.name}"
    )
    return 0


SPEC = DevelopSpec("create-config", "a configuration to begin with, from the application's template", arguments, run)
