"""Remotes, environments and branches: where a push goes, and what can be had back."""

from __future__ import annotations

import os

import pytest

from .session import App, hello


def test_staging_is_promoted_by_sending_nothing(shop: App) -> None:
    commit = shop.commit("First page", {**hello("one"), "big.bin": os.urandom(300_000)})
    first = shop.push("staging", "master").ok()
    assert first.sent[1] > 300_000
    assert shop.get(environment="staging").text == "one"
    assert shop.get().status == 404  # no such host: production has nothing yet
    promoted = shop.push("deploy", "master").ok()
    assert promoted.sent[1] < 300
    assert shop.says() == "one"
    assert shop.live() == shop.live("staging") == commit


def test_environments_are_apart(shop: App) -> None:
    first = shop.commit("First page", hello("one"))
    shop.push().ok()
    second = shop.commit("Second page", hello("two"))
    shop.push("staging", "master").ok()
    assert (shop.says(), shop.get(environment="staging").text) == ("one", "two")
    assert (shop.live(), shop.live("staging")) == (first, second)


@pytest.mark.parametrize(
    "form", ["ssh://deploy@{host}:{port}/{name}.git", "ssh://deploy@{host}:{port}/production/{name}"]
)
def test_other_forms_of_the_remote(shop: App, form: str) -> None:
    shop.commit("First page", hello("one"))
    shop.push(form.format(host="127.0.0.1", port=shop.server.ssh_port, name=shop.name), "master").ok()
    assert shop.says() == "one"


def test_the_scp_form_of_the_remote(shop: App) -> None:
    config = shop.server.user / "ssh_config"
    config.write_text(
        f"Host server\n  HostName 127.0.0.1\n  Port {shop.server.ssh_port}\n  HostKeyAlias [127.0.0.1]:{shop.server.ssh_port}\n"
        f"Host *\n{config.read_text()}"
    )
    shop.commit("First page", hello("one"))
    shop.push(f"deploy@server:{shop.name}", "master").ok()
    shop.commit("Second page", hello("two"))
    shop.push(f"deploy@server:staging/{shop.name}.git", "master").ok()
    assert (shop.says(), shop.get(environment="staging").text) == ("one", "two")


def test_main_is_as_good_a_first_branch(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    shop.push("deploy", "master:main").ok()
    assert shop.live(ref="HEAD") == shop.live(ref="refs/heads/main") == commit
    refused = shop.push("deploy", "master:master")
    assert refused.refused("production deploys main, not master: git push deploy master:main")
    assert shop.live() == ""


def test_the_first_branch_is_master_or_main(shop: App) -> None:
    shop.commit("First page", hello("one"))
    with shop.server.unchanged():
        refused = shop.push("deploy", "master:feature")
    assert refused.refused("git push deploy feature:master")


def test_another_branch_is_refused_with_the_command_that_deploys_it(shop: App) -> None:
    shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.git("checkout", "-q", "-b", "feature")
    commit = shop.commit("A feature", hello("feature"))
    with shop.server.unchanged():
        refused = shop.push("deploy", "feature")
    assert refused.refused("git push deploy feature:master")
    assert shop.says() == "one"
    shop.push("deploy", "feature:master").ok()
    assert shop.says() == "feature"
    assert shop.live() == commit


def test_the_deployed_branch_is_not_deleted(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    shop.push().ok()
    with shop.server.unchanged():
        refused = shop.push("deploy", ":master")
    assert refused.refused("master is what is live and cannot be deleted")
    assert (shop.says(), shop.live()) == ("one", commit)


def test_tags_deploy_nothing(shop: App) -> None:
    shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.commit("Second page", hello("two"))
    shop.git("tag", "-a", "-m", "Two", "v2.0")
    push = shop.push("deploy", "v2.0").ok()
    assert "Live:" not in push.err
    assert shop.says() == "one"
    assert shop.live(ref="refs/tags/v2.0") == shop.git("rev-parse", "v2.0")
    shop.push("deploy", ":v2.0").ok()
    assert shop.live(ref="refs/tags/v2.0") == ""


def test_the_history_of_releases_can_be_fetched(shop: App) -> None:
    first = shop.commit("First page", hello("one"))
    shop.push().ok()
    second = shop.commit("Second page", hello("two"))
    shop.push().ok()
    shop.push("-f", "deploy", "HEAD~1:master").ok()
    shop.git("fetch", "-q", "deploy", "refs/releases/*:refs/releases/*")
    names = shop.git("for-each-ref", "--format=%(refname) %(objecttype) %(*objectname) %(taggername)", "refs/releases")
    assert names.splitlines() == [
        f"refs/releases/v1 tag {first} alice",
        f"refs/releases/v2 tag {second} alice",
        f"refs/releases/v3 tag {first} alice",
    ]
    text = shop.git("cat-file", "tag", "refs/releases/v3")
    assert "from: git push" in text
    assert "result: live" in text


def test_the_remote_can_be_cloned(shop: App) -> None:
    commit = shop.commit("First page", hello("one"))
    shop.push().ok()
    shop.git("clone", "-q", shop.git("remote", "get-url", "deploy"), str(shop.server.user / "clone"))
    assert shop.git("-C", str(shop.server.user / "clone"), "rev-parse", "HEAD", "master").split() == [commit, commit]
