"""What a changed gitdeploy.yaml does to apps that are live, at a reload and at a start: nothing that nobody said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from .session import SMALL, App, Done, Server, hello

STAGING = SMALL + "default_environment: staging\n"
NAMED = SMALL + "environments: {production: {}, staging: {}, shop: {}}\n"


@pytest.fixture
def server(servers: Callable[..., Server]) -> Iterator[Server]:
    """A server of its own for each test, as these are about all apps of one."""
    made = servers()
    yield made
    made.end()


@pytest.fixture
def shop(server: Server) -> App:
    app = server.app("shop")
    app.commit("First page", hello("one"))
    app.push().ok()
    return app


def starting(server: Server) -> Done:
    """Start a server that does not start."""
    return server.gitdeploy("server", "--ssh", "tcp:0", "--http", "tcp:0")


def settle(server: Server, settings: str) -> None:
    """End it, and start it with other settings."""
    server.end()
    (server.home / "gitdeploy.yaml").write_text(settings)
    server.start()


def test_the_default_environment_stays_as_long_as_there_are_apps(server: Server, shop: App) -> None:
    shop.push("staging", "master").ok()
    server.reload(STAGING, "the old one stays")
    said = server.log.read_text()
    assert "default_environment: it was production and is staging now" in said
    assert "write `default_environment: production` back" in said
    shop.commit("Second page", hello("two"))
    shop.push("staging", "master").ok()
    assert (shop.says(), shop.get(environment="staging").text) == ("one", "two")
    server.end()
    refused = starting(server)
    assert refused.status == 2
    assert "default_environment: it was production and is staging now" in refused.err
    settle(server, SMALL)
    assert (shop.says(), shop.get(environment="staging").text) == ("one", "two")


def test_one_that_has_another_name_is_another_one(server: Server, shop: App) -> None:
    secret = server.home / "node" / "srv" / "apps" / "shop" / "secret"
    before = secret.read_bytes()
    server.reload(SMALL + "environments: {live: {}, staging: {}}\ndefault_environment: live\n", "the old one stays")
    shop.commit("Broken", {"hello.py": "import nothing_there\n"})
    assert shop.push().status != 0
    assert secret.read_bytes() == before
    assert shop.says() == "one"


def test_without_apps_it_may_be_changed(server: Server, shop: App) -> None:
    server.ssh("destroy", "--confirm", "shop", "shop").ok()
    server.reload(STAGING)
    shop.push().ok()
    assert re.search(r"^shop +staging +v1 ", server.ssh("apps").ok().out, re.M)
    server.reload(SMALL, "the old one stays")
    settle(server, STAGING)
    assert shop.says() == "one"


def test_a_home_that_remembers_none_takes_the_one_that_counts(server: Server, shop: App) -> None:
    server.end()
    (server.home / "default_environment").unlink()
    server.start()
    assert shop.says() == "one"
    server.reload(STAGING, "the old one stays")


def test_an_environment_is_not_called_as_an_app_is(server: Server, shop: App) -> None:
    server.reload(NAMED, "the old one stays")
    assert "environments: shop is the name of an app" in server.log.read_text()
    shop.commit("Second page", hello("two"))
    shop.push().ok()
    server.end()
    refused = starting(server)
    assert refused.status == 2
    assert "environments: shop is the name of an app" in refused.err
    settle(server, SMALL)
    assert shop.says() == "two"
    server.ssh("destroy", "--confirm", "shop", "shop").ok()
    server.reload(NAMED)
    refused_push = shop.push()
    assert refused_push.status != 0
    assert "'shop' is an environment and no app" in refused_push.text


def test_an_environment_that_is_gone_is_told_of_while_apps_are_live_in_it(server: Server, shop: App) -> None:
    shop.push("staging", "master").ok()
    server.reload(SMALL + "environments: {production: {}, tryout: {}}\n")
    told = "staging is no environment any more, and shop is stopped there"
    assert told in server.log.read_text()
    assert told in server.ssh("doctor").text
    server.reload(SMALL)
    assert told not in server.ssh("doctor").text


def branch(name: str) -> str:
    return SMALL + f"environments: {{production: {{branch: {name}}}, staging: {{}}}}\n"


def test_a_branch_that_is_set_counts_from_the_next_push_on(server: Server, shop: App) -> None:
    server.reload(branch("main"))
    server.ssh("redeploy", "shop").ok()
    assert "with another configuration by alice" in server.ssh("config:set", "shop", "A=1").ok().text
    server.ssh("maintenance:on", "shop").ok()
    server.ssh("maintenance:off", "shop").ok()
    server.ssh("verify", "shop").ok()
    shop.push("deploy", "master:prepare").ok()
    settle(server, branch("main"))
    assert shop.says() == "one"
    shop.commit("Second page", hello("two"))
    assert shop.push().refused("production deploys main, not master")
    shop.push("deploy", "master:main").ok()
    assert shop.says() == "two"
    assert not shop.live()
    assert shop.live(ref="refs/heads/prepare")
    server.ssh("rollback", "shop").ok()
    assert shop.says() == "one"
    assert shop.live(ref="refs/heads/main") == shop.git("rev-parse", "HEAD~1")


def test_a_branch_that_is_set_back_counts_from_the_next_push_on(server: Server, shop: App) -> None:
    server.reload(branch("main"))
    shop.commit("Second page", hello("two"))
    shop.push("deploy", "master:main").ok()
    server.reload(branch("master"))
    server.ssh("verify", "shop").ok()
    settle(server, branch("master"))
    assert shop.says() == "two"
    server.ssh("verify", "shop").ok()
    settle(server, SMALL)
    assert shop.says() == "two"
    server.reload(branch("master"))
    shop.push("deploy", "HEAD~1:refs/heads/master").ok()
    assert shop.says() == "one"
    server.ssh("destroy", "--confirm", "shop", "shop").ok()


def test_an_old_ref_of_a_branch_that_is_set_back_does_not_count(server: Server, shop: App) -> None:
    server.reload(branch("main"))
    shop.commit("Second page", hello("two"))
    shop.push("deploy", "master:main").ok()
    repository = server.home / "repositories" / "shop.git"
    old = shop.git("rev-parse", "HEAD~1")
    shop.git("--git-dir", str(repository), "update-ref", "refs/namespaces/production/refs/heads/master", old)
    settle(server, branch("master"))
    assert shop.says() == "two"
    assert shop.live(ref="refs/heads/main") == shop.git("rev-parse", "HEAD")
    assert not shop.live()
