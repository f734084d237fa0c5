import contextlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from buildless.errors import NodeError
from buildless.node import firewall, mounts
from buildless.node.layout import Layout
from buildless.node.owners import Owners
from buildless.node.removal import remove_rest
from buildless.service import Account, mounted
from buildless.services.nfs import PORT, SERVICE, exports, link

SHARED = Account("nfs", "shop", host="10.0.0.1", clients=("10.0.0.1", "10.0.0.2"))


class Numbered(Owners):
    def process(self, app):
        return {"user": 990, "group": 980, "extra_groups": ()}


@pytest.fixture
def home(tmp_path):
    home = Layout(tmp_path).app("shop")
    SERVICE.install(home, Account("nfs", "shop"))
    return home


def archive(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return io.BytesIO(out.getvalue())


def test_on_one_node_it_is_a_directory_and_needs_nothing(home):
    assert (home.shared / "here").is_dir() and not (home.node.root / "etc").exists()
    assert SERVICE.environ(Account("nfs", "shop"), "/s/shop") == {"CONFIG_NFS": "/s/.shared/shop/here"}
    assert SERVICE.needs(False) == () and SERVICE.needs(True) == ("nfs-kernel-server",)
    assert mounted([Account("nfs", "shop")], "10.0.0.1") == {}


def test_it_is_exported_to_these_nodes_as_the_user_of_the_app(tmp_path):
    home = Layout(tmp_path, Numbered()).app("shop")
    options = "rw,sync,secure,no_subtree_check,all_squash,anonuid=990,anongid=980"
    first, line = exports(home, ("10.0.0.2", "fd00::2")).splitlines()
    assert first == "# Written by gitdeploy for the app shop."
    path, one, other = line.split()
    assert path == f"{home.shared}/here" and one.startswith("10.0.0.2(") and other.startswith("fd00::2(")
    assert one.rpartition(",fsid=")[0] == f"10.0.0.2({options}"
    assert exports(home, ("10.0.0.2",)) != exports(Layout(tmp_path, Numbered()).app("shop.staging"), ("10.0.0.2",))


def test_the_packet_filter_lets_only_them_in_and_nobody_but_the_kernel_answer():
    text = firewall.rules([Account("nfs", "shop", host="10.0.0.1", clients=("10.0.0.2",), port=PORT)], {"root": 0}.get)
    assert "ip saddr 10.0.0.2 tcp dport 2049 accept\n    tcp dport 2049 drop" in text
    assert "tcp sport 2049 tcp flags & syn == syn meta skuid != 0 drop" in text


def test_what_is_restored_comes_into_the_same_directory(home):
    place = home.shared / "here"
    (place / "old").write_text("of before")
    number = place.stat().st_ino
    SERVICE.load(home, SHARED, archive(new="of the backup"))
    SERVICE.swap(home, SHARED)
    SERVICE.drop(home, SHARED)
    assert [path.name for path in place.iterdir()] == ["new"] and place.stat().st_ino == number
    SERVICE.load(home, SHARED, None)
    SERVICE.swap(home, SHARED)
    SERVICE.drop(home, SHARED)
    assert list(place.iterdir()) == [] and [path.name for path in home.shared.parent.iterdir()] == ["shop"]


class Killed(BaseException):
    """The end of a process at that moment."""


@pytest.mark.parametrize("at", range(1, 9))
def test_a_restore_that_is_killed_once_it_has_begun_to_swap_is_done_by_whoever_comes_next(home, monkeypatch, at):
    place, left, rename = home.shared / "here", [at], os.rename
    for name in ("one", "two", "three"):
        (place / name).write_text("of before")
    SERVICE.load(home, SHARED, archive(one="of the backup", four="of the backup"))

    def dying(*words, **more):
        left[0] -= 1
        if not left[0]:
            raise Killed
        rename(*words, **more)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr("os.rename", dying)
        SERVICE.swap(home, SHARED)
    if at < 7:  # 3 that go, the name that says so, 2 that come
        assert not SERVICE.is_finished(home, SHARED)
    SERVICE.install(home, Account("nfs", "shop"))
    assert {path.name: path.read_text() for path in place.iterdir()} == dict.fromkeys(("one", "four"), "of the backup")
    SERVICE.drop(home, SHARED)
    assert [path.name for path in home.shared.parent.iterdir()] == ["shop"]


def test_what_the_app_makes_during_a_restore_is_not_in_its_way(home, monkeypatch):
    place, rename, made = home.shared / "here", os.rename, []
    (place / "old").write_text("of before")
    SERVICE.load(home, SHARED, archive(new="of the backup"))

    def busy(*words, **more):
        if words[0] == "new" and not made:
            (place / "new" / "more").mkdir(parents=True)
            made.append("new")
        rename(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr("os.rename", busy)
        SERVICE.swap(home, SHARED)
    SERVICE.drop(home, SHARED)
    assert {path.name: path.read_text() for path in place.iterdir()} == {"new": "of the backup"}


def test_what_the_app_deletes_during_a_restore_is_not_missed(home, monkeypatch):
    place, rename = home.shared / "here", os.rename
    for name in ("one", "two"):
        (place / name).write_text("of before")
    SERVICE.load(home, SHARED, archive(new="of the backup"))

    def busy(*words, **more):
        for name in {"one", "two"} - {words[0]}:
            (place / name).unlink(missing_ok=True)
        rename(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr("os.rename", busy)
        SERVICE.swap(home, SHARED)
    SERVICE.drop(home, SHARED)
    assert [path.name for path in place.iterdir()] == ["new"]


def test_who_keeps_it_has_it_where_the_others_have_it(home):
    assert SERVICE.environ(SHARED, str(home.state)) == {"CONFIG_NFS": f"{home.shared}/10.0.0.1"}
    (home.shared / "here" / "note").write_text("of one node")
    link(home, "10.0.0.1")
    link(home, "10.0.0.1")
    assert (home.shared / "10.0.0.1" / "note").read_text() == "of one node"
    SERVICE.remove(home, Account("nfs", "shop", host="10.0.0.1"))
    assert list(home.shared.iterdir()) == []


def test_what_nobody_wrote_in_goes_with_the_app_and_what_somebody_did_stays(home):
    link(home, "10.0.0.1")
    (home.shared / "here" / "note").write_text("plums")
    remove_rest(home)
    assert (home.shared / "here" / "note").read_text() == "plums"
    (home.shared / "here" / "note").unlink()
    link(home, "10.0.0.1")
    remove_rest(home)
    assert not home.shared.exists()


def test_the_units_that_mount_it(tmp_path):
    home = Layout(Path("/")).app("my-shop.staging")
    names = {kind: path.name for kind, path in mounts.files(home, "fd00::5").items()}
    assert names == {
        "mount": r"var-lib-apps-.shared-my\x2dshop.staging-fd00::5.mount",
        "automount": r"var-lib-apps-.shared-my\x2dshop.staging-fd00::5.automount",
    }
    if shutil.which("systemd-escape"):
        argv = ("systemd-escape", "--path", "--suffix=mount", f"{home.shared}/fd00::5")
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == names["mount"]
    node = Layout(tmp_path)
    node.units.mkdir(parents=True)
    for app, host in (("shop", "10.0.0.1"), ("shop", "10.0.0.2"), ("shop-two", "10.0.0.3"), ("shop.two", "10.0.0.4")):
        for path in mounts.files(node.app(app), host).values():
            path.touch()
    assert {app: sorted(mounts.mounted(node.app(app))) for app in ("shop", "shop-two", "shop.two", "two")} == {
        "shop": ["10.0.0.1", "10.0.0.2"],
        "shop-two": ["10.0.0.3"],
        "shop.two": ["10.0.0.4"],
        "two": [],
    }


def test_where_it_once_was_it_is_not_forgotten(tmp_path):
    home = Layout(tmp_path).app("shop")
    (home.state / "nfs").mkdir(parents=True)
    (home.state / "nfs" / "note").touch()
    with pytest.raises(
        NodeError, match=f"what shop keeps is in {home.state}/nfs, as it once was; on the node: mkdir -p"
    ):
        SERVICE.install(home, Account("nfs", "shop"))
    (home.state / "nfs" / "note").unlink()
    SERVICE.install(home, Account("nfs", "shop"))
