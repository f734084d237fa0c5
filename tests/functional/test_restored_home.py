"""A server's home that was restored from a backup while nodes went on: what they serve is not taken back unasked."""

from __future__ import annotations

import shutil

from .session import App, Server, hello


def test_what_is_live_is_later_than_what_the_home_knows(server: Server, shop: App) -> None:
    shop.commit("One", hello("one"))
    shop.push().ok()
    repositories, backup = server.home / "repositories", server.top / "backup"
    shutil.copytree(repositories, backup, symlinks=True)
    second = shop.commit("Two", hello("two"))
    shop.push().ok()
    server.end()
    shutil.rmtree(repositories)
    backup.rename(repositories)
    server.start()
    assert shop.says() == "two"
    said = f"serves v2 ({second[:7]}), which this server does not know"
    assert said in server.log.read_text()
    verified = server.ssh("verify", shop.name)
    assert verified.status == 1 and said in verified.text and "push that commit again" in verified.text
    server.end()
    server.start()
    assert shop.says() == "two"
    shop.push().ok()
    assert shop.says() == "two"
    server.ssh("verify", shop.name).ok()
    numbers = [line.split()[0] for line in server.ssh("releases", shop.name).ok().out.splitlines()[1:]]
    assert numbers == ["v1", "v3"]
    server.end()
    server.start()
    assert shop.says() == "two"
    server.ssh("rollback", shop.name).ok()
    assert shop.says() == "one"
