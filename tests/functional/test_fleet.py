"""What gitdeploy.yaml says of machines and cannot be: said before anything is done, in the same words everywhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest

from gitdeploy.nodes.fleet import Fleet, Machine

from .session import App, Server, hello

SETTINGS = """\
environments:
  production: {nodes: "web1, lb1", balancer: web1}
  staging: {nodes: web7}
  here: {}
  new: {nodes: web2}
"""
WRONG = (
    "lb1 runs no apps, but production lists it under `nodes:`; correct gitdeploy.yaml",
    "web1 is no balancer, but production lists it under `balancer:`; correct gitdeploy.yaml",
)
GONE = "gitdeploy.yaml names web7 for staging, and it is not there; run: gitdeploy create-node web7"


@pytest.fixture(scope="module")
def server(servers: Callable[..., Server]) -> Server:
    """It knows of three machines, and nothing listens where they should be; web2 has never been set up."""
    server = servers(SETTINGS)
    server.key("setup")
    for name in ("setup", "server"):
        for end in ("", ".pub"):
            (server.home / "ssh").mkdir(exist_ok=True)
            shutil.copy(server.user / f"setup{end}", server.home / "ssh" / f"{name}_ed25519{end}")
    fleet = Fleet(server.home / "nodes")
    fleet.save(Machine("web1", "127.0.0.1", port=9, setup="abc"))
    fleet.save(Machine("web2", "127.0.0.1", port=9))
    fleet.save(Machine("lb1", "127.0.0.1", port=9, setup="abc", roles=("balancer",)))
    return server


@pytest.fixture(scope="module")
def shop(server: Server) -> App:
    shop = server.app("shop")
    shop.commit("Sell apples", hello("apples"))
    shop.git("remote", "add", "here", shop.git("remote", "get-url", "staging").replace("/staging/", "/here/"))
    shop.push("here", "master").ok()
    return shop


def test_a_push_to_machines_of_the_wrong_role_is_refused(shop: App) -> None:
    done = shop.push()
    assert done.refused(WRONG[0])
    assert f"remote:        {WRONG[1]}" in done.err and "Delivering" not in done.err


def test_doctor_says_it_of_the_machine(server: Server) -> None:
    said = server.ssh("doctor")
    assert said.status == 1
    sections = {text.split(":")[0]: text for text in said.out.split("-----> ")[1:]}
    assert WRONG[0] in sections["lb1"] and WRONG[1] in sections["web1"] and WRONG[0] not in sections["web1"]
    assert "it is not there; run: gitdeploy create-node web7" in sections["web7"]


def test_a_node_that_is_gone_is_said_in_the_same_words(server: Server, shop: App) -> None:
    assert shop.push("staging", "master").refused(GONE)
    for status, *words in ((1, "verify", "staging/shop"), (3, "ps", "staging/shop"), (3, "setup-node", "staging")):
        done = server.gitdeploy(*words)
        assert done.status == status and GONE in done.text, done.text
    assert WRONG[0] in server.gitdeploy("setup-node", "production").text


def test_a_node_that_was_never_set_up_is_said_with_what_to_run(server: Server, shop: App) -> None:
    shop.git("remote", "add", "new", shop.git("remote", "get-url", "staging").replace("/staging/", "/new/"))
    said = "it has not been set up; run: gitdeploy setup-node web2"
    assert shop.push("new", "master").refused(said)
    assert re.search(rf"^web2 +127.0.0.1 +{said} ", server.ssh("nodes").ok().out, re.MULTILINE)
    assert f"-----> web2: needs attention\n !     {said}\n" in server.ssh("doctor").out
