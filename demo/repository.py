"""The demo's example application: its repository, its remotes, and what the web says of it."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
from pathlib import Path

from terminal import BOLD, DIM, PLAIN, Terminal, expect, say

EXAMPLE = Path(__file__).with_name("shop")


class Shop:
    """The example application: its repository, and what the web says of it."""

    def __init__(self, terminal: Terminal, http: int) -> None:
        self.terminal, self.http = terminal, http

    def commit(self, message: str, old: str = "", new: str = "") -> None:
        """Commit shop.py with `new` in place of `old`."""
        code = self.terminal.directory / "shop.py"
        code.write_text(code.read_text().replace(old, new, 1))
        self.terminal.quiet("git", "add", "-A")
        self.terminal.quiet("git", "commit", "-q", "-m", message)

    def get(self, path: str = "/") -> str:
        """The page that a browser would get (no name needs to be resolved for it)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": f"shop.localhost:{self.http}"})
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        expect("the application to answer 200", answer.status == 200, f"{answer.status}\n{body}")
        return body

    def see(self, goods: str) -> None:
        """Open the page as a person would, and find `goods` on it."""
        say(f"{BOLD}$ curl http://shop.localhost:{self.http}/{PLAIN}")
        page = self.get()
        say(f"{DIM}{page}{PLAIN}")
        expect(f"a page with 'Fresh {goods}<'", f"Fresh {goods}<" in page, page)


def make_shop(directory: Path, ssh: Path, ssh_port: int, http_port: int) -> Shop:
    """The example repository, with two remotes, one for each environment."""
    shutil.copytree(EXAMPLE, directory)
    terminal = Terminal(directory)
    terminal.quiet("git", "init", "-q", "-b", "master")
    settings = {"user.name": "You", "user.email": "you@example.com", "commit.gpgsign": "false"}
    for name, value in {**settings, "core.sshCommand": shlex.quote(str(ssh)), "core.hooksPath": os.devnull}.items():
        terminal.quiet("git", "config", name, value)
    address = f"ssh://deploy@127.0.0.1:{ssh_port}"
    terminal.quiet("git", "remote", "add", "staging", f"{address}/staging/shop")
    shop = Shop(terminal, http_port)
    shop.commit("Sell apples")
    say(f"{BOLD}$ cd .demo/shop && git remote add deploy {address}/shop{PLAIN}\n")
    terminal.quiet("git", "remote", "add", "deploy", f"{address}/shop")
    return shop


def push(shop: Shop, line: str = "git push deploy master") -> None:
    status, output = shop.terminal.type(line)
    expect(f"`{line}` to end with 0", status == 0, f"exit status {status}\n{output}")
