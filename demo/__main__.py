"""bin/demo after its set-up: shows gitdeploy to a newcomer with a real server, a real git, and one small application.

Everything is made anew in .demo/ of the checkout at each start, and stays there afterwards to be looked at. Nothing of the
person who runs it is read or written: no git settings, no ssh settings, no keys.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from repository import Shop, make_shop, push
from server import GITDEPLOY, Server, left, make_ssh
from terminal import BOLD, DIM, PLAIN, RED, Terminal, Unexpected, expect, say

DEMO = Path(__file__).resolve().parent.parent / ".demo"


class Stopped(BaseException):
    """Ctrl-C, or a signal that asks to end."""


def stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def remove(directory: Path) -> None:
    """Remove a tree, read-only directories (versions of applications) included."""
    for here, _, _ in os.walk(directory):
        Path(here).chmod(0o700)
    shutil.rmtree(directory)


def by_itself(shop: Shop, ssh: Path, port: int) -> None:
    """The rest of a newcomer's first quarter of an hour, each step checked."""
    shop.see("apples")
    style = (shop.terminal.directory / "static" / "shop.css").read_text()
    expect("the style sheet from static/", shop.get("/shop.css") == style, shop.get("/shop.css"))

    say("Sell pears, too: a change is a commit and a push.\n")
    shop.commit("Sell pears, too", '"apples"]', '"apples", "pears"]')
    push(shop)
    shop.see("apples and pears")

    say("A mistake: this commit imports a module that is not there.\n")
    shop.commit("Sell plums", "import os\n", "import os\n\nimport plums\n")
    live = shop.terminal.quiet("git", "ls-remote", "deploy", "refs/heads/master")
    status, output = shop.terminal.type("git push deploy master")
    expect("git push to fail", status != 0, f"exit status {status}\n{output}")
    expect(
        "the reason in the refusal", bool(re.search(r"\[remote rejected\].*No module named 'plums'", output)), output
    )
    say("Nothing has happened to what is live:\n")
    shop.see("apples and pears")
    now = shop.terminal.quiet("git", "ls-remote", "deploy", "refs/heads/master")
    expect(f"master of the server to be {live}", now == live, now)

    say("Back to the first version: push the older commit.\n")
    push(shop, "git push -f deploy HEAD~2:master")
    shop.see("apples")
    status, output = shop.terminal.type(f"ssh -p {port} deploy@127.0.0.1 releases shop", *releases(ssh, port))
    expect("three releases", status == 0 and len(re.findall(r"^v[123] ", output, re.M)) == 3, output)


def releases(ssh: Path, port: int) -> list[str]:
    return [str(ssh), "-p", str(port), "deploy@127.0.0.1", "releases", "shop"]


def stay(shop: Shop, port: int) -> None:
    """Say what can be tried, and wait for Ctrl-C."""
    say(f"""\
It is live: {BOLD}http://shop.localhost:{shop.http}/{PLAIN}

Now you, in another terminal: {BOLD}cd {shlex.quote(str(shop.terminal.directory))}{PLAIN}
  change     edit shop.py, then    {BOLD}git commit -am 'Sell pears, too' && git push deploy master{PLAIN}
  break      import plums          the push is refused with the reason; what is live stays
  roll back                        {BOLD}git push -f deploy HEAD~1:master{PLAIN}
  staging                          {BOLD}git push staging master{PLAIN}   http://shop.staging.localhost:{shop.http}/
  look                             {BOLD}../ssh -p {port} deploy@127.0.0.1 help{PLAIN}

Ctrl-C stops everything.""")
    while True:
        signal.pause()


def run(once: bool) -> None:
    """The whole demo. Raises Unexpected; leaves no process, however it ends."""
    with ExitStack() as stack:
        server = Server(DEMO / "server")
        stack.callback(server.stop)
        ssh_port, http_port = server.ready()
        ssh = make_ssh(DEMO, server, ssh_port)
        say(f"{BOLD}$ gitdeploy --home .demo/server keys:add you < .demo/key.pub{PLAIN}")
        added = [GITDEPLOY, "--home", str(server.home), "keys:add", "you"]
        say(f"{DIM}{Terminal(DEMO).quiet(*added, stdin=(DEMO / 'key.pub').read_text())}{PLAIN}")
        shop = make_shop(DEMO / "shop", ssh, ssh_port, http_port)
        push(shop)
        expect("apples on the first page", "Fresh apples<" in shop.get(), shop.get())
        if once:
            by_itself(shop, ssh, ssh_port)
        else:
            stay(shop, ssh_port)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/demo", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--once", action="store_true", help="go on by itself: change, break, roll back; then end")
    once = parser.parse_args().once
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    DEMO.mkdir(exist_ok=True)
    lock = os.open(DEMO, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("A demo is running in this checkout already; stop it first (Ctrl-C where it runs).")
        return 2
    for old in DEMO.iterdir():
        remove(old) if old.is_dir() else old.unlink()
    try:
        run(once)
    except Stopped:
        say("\nEverything is stopped. What it made is in .demo/ until the next time.")
        return 130 if once else 0
    except (Unexpected, subprocess.TimeoutExpired, OSError) as error:
        say(f"{RED} !     {error}{PLAIN}")
        return 1
    deadline = time.monotonic() + 10
    while (processes := left(DEMO)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if processes:
        say(f"{RED} !     expected no process to be left; there are: {processes}{PLAIN}")
        return 1
    say("All of it worked, and everything is stopped again. Without --once, bin/demo stays for you to try.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
