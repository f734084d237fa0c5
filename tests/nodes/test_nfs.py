"""The service nfs: a directory that one node keeps and another one mounts, on machines with a kernel of their own."""

from __future__ import annotations

import json
import subprocess
from urllib.parse import quote

import pytest

from . import kernels
from .conftest import serving
from .keeper import Keeper
from .kernels import virtual
from .machines import eventually
from .visitor import get, reaches

pytestmark = pytest.mark.skipif(bool(kernels.lacking()), reason=kernels.lacking())

SETTINGS = """\
web: {processes: 1}
environments:
  production: {nodes: [keeps, mounts], services: keeps}
limits: {boot: 120s, ping: 60s, step: 900s}
"""
SHARED = "/var/lib/apps/.shared/shop"
BACK = 240.0  # seconds in which an emulated machine is wholly there
LOCK = "take(PATH + '/lock')"
CODE = """\
import os
PATH = os.environ["CONFIG_NFS"]
held = []

def take(path):
    import fcntl
    file = open(path, "a")
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held.append(file)

"""


@pytest.fixture(scope="module")
def pair(machines):
    return virtual(machines, "keeps", "mounts")


@pytest.fixture(scope="module")
def server(machines, pair):
    with serving(machines, SETTINGS, pair) as server:
        yield server


@pytest.fixture(scope="module")
def shop(server, pair):
    pair[0].ssh("useradd", "--system", "somebody")  # so that the app's user has another number on each
    shop = Keeper(server, pair[0], "shop", "nfs", "")
    shop.app.commit("Where it is", {"keeper.py": CODE + shop.code})
    shop.push().ok()
    return shop


def do(node, what, app="shop"):
    answer = get(node, f"{app}.localhost", f"/do?do={quote(what)}")
    return json.loads(answer.text) if answer.status == 200 else answer.text


def test_all_nodes_have_the_same_files_and_locks(shop, pair):
    keeps, mounts = pair
    path = f"{SHARED}/{keeps.address}"
    assert do(mounts, "PATH") == path == do(keeps, "PATH")
    assert do(keeps, "os.getuid()") != do(mounts, "os.getuid()")
    do(mounts, "write(PATH + '/of/mounts', 'apples')")
    assert do(keeps, "open(PATH + '/of/mounts').read()") == "apples"
    do(keeps, "write(PATH + '/of/keeps', 'pears') or os.rename(PATH + '/of/mounts', PATH + '/renamed')")
    assert do(mounts, "open(PATH + '/of/keeps').read() + open(PATH + '/renamed').read()") == "pearsapples"
    do(mounts, "write(PATH + '/of/keeps', 'plums')")
    assert do(keeps, "open(PATH + '/of/keeps').read()") == "plums"
    assert do(mounts, LOCK) is None
    assert "BlockingIOError" in do(keeps, LOCK)["error"]
    assert do(mounts, "held.pop().close()") is None and do(keeps, LOCK) is None
    said = mounts.ssh("findmnt", "--types", "nfs4", "--noheadings", "--output", "OPTIONS", path)
    assert {"nosuid", "nodev", "hard", "vers=4.2"} <= set(said.strip().split(","))
    for node in pair:
        listening = node.ssh("ss", "-Hlntup")
        assert "rpc" not in listening and ":111 " not in listening, listening


def test_nobody_else_gets_at_them(server, shop, pair):
    keeps, mounts = pair
    assert not reaches(keeps.address, 2049) and reaches(keeps.address, 80)
    thief = Keeper(server, mounts, "thief", "files", "")
    assert thief.push().refused("files can only be used on one node")
    thief.app.commit("None", {"app.yaml": thief.yaml.replace("services: files\n", "")})
    thief.push().ok()
    path = f"{SHARED}/{keeps.address}"
    for node in pair:
        assert "FileNotFoundError" in do(node, f"os.listdir({path!r})", "thief")["error"]
        listed = node.ssh("runuser", "-u", "app-thief", "--", "ls", path, check=False)
        assert "Permission denied" in listed
        moved = node.ssh("runuser", "-u", "app-shop", "--", "mv", path, f"{SHARED}/other", check=False)
        assert "Permission denied" in moved
    # whoever would speak NFS himself has no port below 1024; the kernel would use the connection that it has
    mounts.ssh("systemctl", "stop", f"var-lib-apps-.shared-shop-{keeps.address}.mount")
    source = f"{keeps.address}:{SHARED}/here"
    said = mounts.ssh("mount", "-t", "nfs4", "-o", "noresvport,retry=0", source, "/mnt", check=False, limit=200)
    assert "not permitted" in said or "denied" in said, said
    assert do(mounts, "os.listdir(PATH)") == do(keeps, "os.listdir(PATH)") != []


def test_a_restore_is_seen_by_all(server, shop, pair):
    keeps, mounts = pair
    do(mounts, "write(PATH + '/note', 'of the backup')")
    saved = subprocess.run(
        server.ssh_argv("backup", "shop"), env=server.env, capture_output=True, timeout=200, check=True
    )
    server.ssh("clear", "shop", "nfs", "--confirm", "shop", limit=200).ok()
    assert do(keeps, "os.listdir(PATH)") == [] == do(mounts, "os.listdir(PATH)")
    do(mounts, "write(PATH + '/note', 'later')")
    server.ssh("restore", "shop", "--confirm", "shop", stdin=saved.stdout, limit=200).ok()
    for node in pair:
        assert do(node, "open(PATH + '/note').read()") == "of the backup"


def test_it_is_there_again_after_either_was_started_anew(shop, pair):
    keeps, mounts = pair
    keeps.cycle()
    eventually("the node writes again", lambda: do(mounts, "write(PATH + '/again', 'keeps')") is None, BACK)
    assert do(keeps, "open(PATH + '/again').read()") == "keeps"
    mounts.cycle()
    eventually("the node reads again", lambda: do(mounts, "open(PATH + '/again').read()") == "keeps", BACK)


def test_while_the_node_that_keeps_it_is_away_the_other_one_serves_what_needs_it_not(shop, pair):
    keeps, mounts = pair
    keeps.stop()
    hanging = f"timeout -s KILL 5 runuser -u app-shop -- cat {SHARED}/{keeps.address}/again"
    said = mounts.ssh("sh", "-c", f"{hanging}; [ $? = 137 ] && echo it was killed", check=False)
    assert "it was killed" in said
    mounts.cycle()
    eventually("another app answers", lambda: do(mounts, "1 + 1", "thief") == 2, BACK)
    eventually("the app itself does", lambda: do(mounts, "1 + 1") == 2, BACK)
    listed = mounts.ssh("runuser", "-u", "app-shop", "--", "ls", f"{SHARED}/{keeps.address}", check=False, limit=100)
    assert "ls: cannot" in listed
    keeps.start()
    keeps.up()
    eventually("it is there", lambda: do(mounts, "open(PATH + '/again').read()") == "keeps", BACK)


def test_when_another_node_is_to_keep_it_nothing_changes_for_the_release_that_is_live(server, shop, pair):
    keeps, mounts = pair
    code = (shop.app.directory / "keeper.py").read_text()
    before = (server.home / "gitdeploy.yaml").read_text()
    old, new = (f"{SHARED}/{node.address}" for node in pair)
    live = json.loads(server.ssh("ps", "shop", "--json").ok().out)["live"]["keeps"]
    with server.settings(before.replace("services: keeps", "services: mounts")):
        shop.app.commit("Broken", {"keeper.py": "import nothing_of_that_name\n"})
        assert shop.push().refused("No module named 'nothing_of_that_name'")
        assert new not in keeps.ssh("cat", "/proc/mounts") and f" {old} nfs4 " in mounts.ssh("cat", "/proc/mounts")
        for node in pair:
            assert do(node, "open(PATH + '/again').read()") == "keeps"
        shop.app.commit("Whole", {"keeper.py": code})
        pushed = shop.push().ok()
        assert "nfs of mounts is new, and empty" in pushed.err
        assert do(keeps, "PATH") == new == do(mounts, "PATH") and do(keeps, "os.listdir(PATH)") == []
        do(keeps, "write(PATH + '/moved', 'here')")
        assert do(mounts, "open(PATH + '/moved').read()") == "here"
        for node in pair:  # the release of before has what it had
            assert do(node, "open(PATH + '/again').read()", f"{live}.shop") == "keeps"
    shop.app.commit("Back", {"more.txt": "back"})
    shop.push().ok()
    for node in pair:
        assert do(node, "open(PATH + '/again').read()") == "keeps"


def test_a_node_that_leaves_gets_in_no_more_and_the_end_leaves_nothing(server, shop, pair):
    keeps, mounts = pair
    exports = ("cat", "/etc/exports.d/gitdeploy-shop.exports")
    assert mounts.address in keeps.ssh(*exports)
    before = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(before.replace("[keeps, mounts]", "[keeps]")):
        shop.app.commit("One node", {"more.txt": ""})
        shop.push().ok()
        assert "No such file" in keeps.ssh(*exports, check=False)
        assert mounts.address not in keeps.ssh("nft", "list", "table", "inet", "gitdeploy_services")
        assert do(keeps, "open(PATH + '/again').read()") == "keeps"
        assert do(keeps, "PATH") == f"{SHARED}/here"
    shop.app.commit("Two nodes", {"more.txt": "more"})
    shop.push().ok()
    assert do(mounts, "open(PATH + '/again').read()") == "keeps"
    server.ssh("destroy", "--confirm", "shop", "shop", limit=400).ok()
    for node in pair:
        assert "shop" not in node.ssh("cat", "/proc/mounts")
        listing = "ls -d /etc/systemd/system/* /etc/exports.d/* /var/lib/apps/.* /var/lib/apps/.shared/* /var/lib/apps/.shared/.*"
        there = node.ssh("sh", "-c", f"{listing}; exportfs -s", check=False)
        assert "shop" not in there, there
