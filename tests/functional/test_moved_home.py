"""A server's home that is at another place than before: what it runs is there, too, and not where the home was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

from .session import PYTHON, Server

SHOWS = """\
import os
from pathlib import Path
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    files = Path(os.environ["CONFIG_FILES"])
    (files / "seen").touch()
    return ["\\n".join([str(files), os.environ["HOME"], os.environ["APP_SECRET_FILE"], *sorted(os.listdir(files))]).encode()]
"""


@pytest.mark.parametrize(
    "how", [shutil.move, lambda old, new: shutil.copytree(old, new, symlinks=True)], ids=["moved", "copied"]
)
def test_a_home_elsewhere(servers: Callable[..., Server], how: Callable[[str, str], object]) -> None:
    server = servers()
    shop = server.app("shop")
    shop.commit("One", {"app.yaml": PYTHON + "services: files, public_files\n", "hello.py": SHOWS})
    shop.push().ok()
    shop.commit("Two", {"two.txt": "2"})
    shop.push().ok()
    old, new = server.home, server.top / "elsewhere"
    (old / "node/var/lib/apps/shop/files/DATA").touch()
    server.end()
    how(str(old), str(new))
    server.home = new
    server.start()
    node = new / "node"
    assert shop.says().splitlines() == [
        f"{node}/var/lib/apps/shop/files", f"{node}/var/cache/apps/shop/tmp-v2", f"{node}/srv/apps/shop/secret", "DATA", "seen"
    ]  # fmt: skip
    assert f"the embedded node was at {old}/node, and is {node} now" in server.log.read_text()
    server.ssh("verify", "shop").ok()
    release = node / "srv/apps/shop/releases/v1"
    assert str(old) + "/" not in (release / "settings").read_text()
    assert (release / "settings").stat().st_mode & 0o777 == 0o600
    assert os.readlink(release / "public") == f"{node}/var/lib/apps/shop/public_files"
    assert os.readlink(release / "web.sock") == f"{new}/run/shop-v1.sock"
    said = server.log.read_text()
    server.end()
    server.start()
    assert server.log.read_text().count("the embedded node was at") == said.count("the embedded node was at")
    server.ssh("rollback", "shop").ok()
    assert shop.says().startswith(f"{node}/var/lib/apps/shop/files")
