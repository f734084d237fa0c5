"""Releases that are kept: looked at under a name of their own, asleep until somebody does, pruned when there are enough."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from ..functional.session import hello
from .machines import eventually
from .traces import files, running, unchanged
from .visitor import errors, get, says

STATIC = {"app.yaml": "platform: static\n"}


@pytest.fixture
def keeping(server):
    """``keeping("linger: 2s")``: for the rest of the test."""
    before = (server.home / "gitdeploy.yaml").read_text()

    def keep(text):
        server.reload(before.replace("keep: {linger: 30s}", f"keep: {{{text}}}"))

    yield keep
    server.reload(before)


def services(node, app):
    return [
        unit.partition("@")[2].partition(".")[0]
        for unit in running(node, app.name)
        if unit.endswith(" running") and ".service" in unit
    ]


def test_a_release_that_is_not_live_sleeps_and_starts_when_it_is_asked(shop, web, keeping):
    keeping("linger: 2s")
    for text in ("apples", "pears"):
        shop.commit(f"Sell {text}", hello(text))
        shop.push().ok()
    assert services(web[0], shop) == ["v1", "v2"]
    for node in web:
        eventually("v1 sleeps", lambda node=node: services(node, shop) == ["v2"])
    assert all(says(node, f"v1.{shop.name}.localhost") == "apples" for node in web)
    assert services(web[0], shop) == ["v1", "v2"]
    assert says(web[0], f"v2.{shop.name}.localhost") == "pears" == says(web[0], shop)
    eventually("v1 sleeps again", lambda: services(web[0], shop) == ["v2"])
    assert "v2" in shop.server.ssh("ps", shop.name).ok().out
    shop.server.ssh("verify", shop.name).ok()

    shop.push("-f", "deploy", "HEAD~1:master").ok()  # v3, of processes that have to be started
    assert says(web[0], shop) == "apples"
    assert says(web[0], f"v2.{shop.name}.localhost") == "pears"
    eventually("v2 sleeps", lambda: "v2" not in services(web[0], shop))
    assert len(services(web[0], shop)) == 1 and says(web[0], shop) == "apples"


def test_one_that_is_only_prepared_is_looked_at_and_then_made_live(shop, web):
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    shop.commit("Sell pears", hello("pears"))
    assert "-----> Ready: v2," in shop.push("deploy", "master:prepare").ok().err
    for node in web:
        assert says(node, shop) == "apples"
        assert says(node, f"v2.{shop.name}.localhost") == "pears"
    shop.server.ssh("verify", shop.name).ok()
    push = shop.push().ok()
    assert "still runs, nothing to start" in push.err and "-----> Live: v3," in push.err
    assert says(web[0], shop) == says(web[1], shop) == "pears"
    assert says(web[0], f"v1.{shop.name}.localhost") == "apples"
    shop.server.ssh("verify", shop.name).ok()


def test_the_live_one_never_sleeps(shop, web, keeping):
    keeping("linger: 1s")
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    pid = web[0].ssh("systemctl", "show", "-P", "MainPID", f"app-{shop.name}-web@v1")
    time.sleep(4)
    assert web[0].ssh("systemctl", "show", "-P", "MainPID", f"app-{shop.name}-web@v1") == pid != "0\n"


def test_a_release_that_there_is_not_is_not_found(shop, web):
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    for host in (
        f"v9.{shop.name}.localhost",
        f"v0.{shop.name}.localhost",
        f"v01.{shop.name}.localhost",
        f"x.v1.{shop.name}.localhost",
    ):
        assert get(web[0], host).status == 404


def test_enough_are_kept_and_what_pruning_freed_is_said(shop, web, keeping):
    keeping("versions: 2")
    shop.commit("1", {**STATIC, "static/a.txt": "1", "big.bin": os.urandom(400_000), "kept.bin": os.urandom(50_000)})
    shop.push().ok()
    (shop.directory / "big.bin").unlink()
    for number in range(2, 5):
        shop.commit(str(number), {"static/a.txt": str(number)})
        shop.push().ok()
    for node in web:
        top = node.root / "srv/apps" / shop.name
        eventually("two are left", lambda top=top: {path.name for path in (top / "releases").iterdir()} == {"v3", "v4"})
        eventually(
            "and their versions", lambda top=top: sum(path.name[0] != "." for path in (top / "versions").iterdir()) == 2
        )
        assert says(node, f"v3.{shop.name}.localhost", "/a.txt") == "3"
        assert get(node, f"v1.{shop.name}.localhost", "/a.txt").status == 404
    said = shop.server.ssh("deploys", shop.name, "d3").ok().out
    assert {f"       {node}: v1 pruned, 400.0 kB freed" for node in ("web1", "web2")} <= set(said.splitlines())
    assert f"{shop.name} on web1: v1 pruned, 400.0 kB freed" in shop.server.log.read_text()
    listed = shop.server.ssh("deploys", shop.name).ok().out
    assert listed.count(" live ") == 4


def test_what_runs_is_kept_even_if_there_are_enough(shop, web, keeping):
    keeping("versions: 1, running: 1, linger: 30s")
    for text in ("apples", "pears"):
        shop.commit(f"Sell {text}", hello(text))
        shop.push().ok()
    shop.push("-f", "deploy", "HEAD~1:master").ok()  # v3 has the processes of v1
    eventually(
        "tidied up",
        lambda: "v1" in {path.name for path in (web[0].root / "srv/apps" / shop.name / "releases").iterdir()},
    )
    assert says(web[0], shop) == "apples" and says(web[0], f"v2.{shop.name}.localhost") == "pears"
    shop.server.ssh("verify", shop.name).ok()


def test_what_a_home_from_an_older_backup_does_not_know_goes_on(server, shop, web):
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    repository, backup = server.home / "repositories" / f"{shop.name}.git", server.top / f"{shop.name}.backup"
    shutil.copytree(repository, backup, symlinks=True)
    pears = shop.commit("Sell pears", hello("pears"))
    shop.push().ok()
    server.end()
    shutil.rmtree(repository)
    backup.rename(repository)
    server.start()
    said = f"serves v2 ({pears[:7]}), which this server does not know"
    for node in web:
        eventually("it was looked at", lambda node=node: f"{shop.name}: {node.name} {said}" in server.log.read_text())
    verified = server.ssh("verify", shop.name)
    assert verified.status == 1 and verified.out.count(said) == len(web)
    assert [says(node, shop) for node in web] == ["pears", "pears"]
    assert "-----> Live: v3," in shop.push().ok().text
    server.ssh("verify", shop.name).ok()
    server.ssh("rollback", shop.name).ok()
    assert [says(node, shop) for node in web] == ["apples", "apples"]


def test_a_node_without_the_space_is_a_refusal_with_figures(shop, web):
    web2 = web[1]
    shop.commit("Be large", {**STATIC, "static/zero.bin": bytes(20_000_000)})
    web2.ssh("sh", "-c", "mount -t tmpfs -o size=60m tmpfs /srv && mkdir /srv/apps")
    try:
        done = shop.push()
        [said] = errors(done)
        assert said.startswith(
            "web2: the version needs 20.0 MB and the disk has 62.9 MB free (it must keep 50.0 MB); see what fills it"
        )
        assert done.refused("web2: the version needs 20.0 MB and the disk has 62.9 MB free")
        assert not (web2.root / "srv/apps" / shop.name / "versions").exists()
        assert "web2: needs attention" in (said := shop.server.ssh("doctor").out)
        assert "MB are free on its disk; keep fewer versions (keep: versions in gitdeploy.yaml), or make room" in said
    finally:
        web2.ssh("umount", "-l", "/srv")
    assert not files(web[0], shop.name)
    with unchanged(shop.name):
        shop.push().ok()
