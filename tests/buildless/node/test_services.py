"""The verbs about services, on the files of a node without root."""

import base64
import fcntl
import json
import os
import stat
import tarfile
import threading
import time
from dataclasses import replace

import pytest

from buildless.errors import NodeError
from buildless.node import accounts, archive
from buildless.node.__main__ import answer, said
from buildless.node.layout import Layout
from buildless.node.owners import Owners
from buildless.node.services import SERVICE_VERBS, alike, can_wait, together
from buildless.node.verbs import VERBS
from buildless.service import Account

PASSWORD = "0123456789abcdef" * 3
ABOUT = {"app": "shop", "environment": "production"}


class Node:
    """Asks verbs of an app called shop."""

    def __init__(self, root, owners=None):
        self.layout = Layout(root, owners or Owners())
        self.home = self.layout.app("shop")

    def __getattr__(self, verb):
        def ask(**request):
            done = SERVICE_VERBS[verb](self.layout, "shop", **request)
            return done if isinstance(done, dict) else said(done, lambda line: None)

        return ask

    def make(self, *names, **more):
        wanted = [
            {"service": name, "password": PASSWORD, "options": {}, "host": "", "clients": [], **more} for name in names
        ]
        return self.services(services=wanted, timeout=10)


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    node.make("files", "public_files")
    (node.home.state / "files" / "a").write_text("apples")
    return node


def test_they_are_made_once(node):
    first = {"files": {"port": 0, "new": True, "waits": False}}
    assert node.make("files")["services"] == first, "no release with it has been live"
    node.used(services=["files"])
    assert node.make("files")["services"] == {"files": {"port": 0, "new": False, "waits": False}}
    assert (node.home.state / "files" / "a").read_text() == "apples"
    assert stat.S_IMODE(node.home.accounts.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in node.home.accounts.iterdir()} == {0o600}
    assert node.check_services() == {"services": {"files": "", "public_files": ""}}


class Noting(Owners):
    """Owners that note whether the web server was let through."""

    def __init__(self):
        self.let_through = []

    def give_state(self, app, state, *, public):
        self.let_through.append(public)


def test_the_web_server_gets_to_public_files_whatever_is_done_to_others(tmp_path):
    node = Node(tmp_path, owners := Noting())
    node.make("files")
    node.make("public_files", "files")
    assert owners.let_through == [False, True, True]
    node.restore(file=node.backup(services=["files"], about=ABOUT, keep=True)["file"], of="shop", services=[])
    node.clear(services=["files"])
    assert owners.let_through[3:] == [True, True]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"service": "filez"}, "there is no service 'filez'"),
        ({"service": "../files"}, "there is no service"),
        ({"password": "'; DROP"}, "no password of ours"),
        ({"options": {"extensions": ["x"]}}, "files has no option extensions"),
        ({"service": "postgresql", "options": {"extensions": ["a b"]}}, "no name of an extension"),
        ({"host": "0.0.0.0/0"}, "does not appear to be an IPv4 or IPv6 address"),
        ({"clients": ["10.0.0.1 accept; drop"]}, "does not appear to be an IPv4 or IPv6 address"),
        ({"clients": ["fe80::1%x accept\nhost all all all trust"]}, "is an address of one interface"),
        ({"service": "redis"}, "redis needs packages, which this node cannot install"),
        ({"service": "redis", "options": {"memory": ["64"]}}, "'64' is no size"),
    ],
)
def test_what_is_asked_for_is_looked_at_again(node, more, problem):
    with pytest.raises(NodeError) as error:
        node.make("files", **more)
    assert problem in str(error.value)


def test_a_backup_goes_away_and_comes_back_in_pieces(node, monkeypatch):
    monkeypatch.setattr("buildless.node.backups.MOST", 700)
    made = node.backup(services=[], about=ABOUT, keep=False)
    pieces, offset = [], 0
    while data := base64.b64decode(node.backup_read(file=made["file"], offset=offset)["data"]):
        pieces.append(data)
        offset += len(data)
    assert offset == made["size"] and len(pieces) > 3
    node.backup_remove(file=made["file"])
    node.clear(services=["files"])
    assert list((node.home.state / "files").iterdir()) == []
    file, offset = None, 0
    for data in [pieces[0], *pieces]:  # the first one twice: nobody knew whether it had arrived
        offset = 0 if file is None or data is pieces[0] else offset
        file = node.backup_write(file=file, offset=offset, data=base64.b64encode(data).decode())["file"]
        offset += len(data)
    answer = node.restore(file=file, of="shop", services=[])
    assert answer["services"] == ["files", "public_files"]
    assert (node.home.state / "files" / "a").read_text() == "apples"
    node.backup_remove(file=file)
    assert list(node.home.backups.iterdir()) == []


def test_the_latest_three_are_kept(node):
    names = [node.backup(services=[], about=ABOUT, keep=True)["file"] for _ in range(5)]
    assert len(set(names)) == 5
    left = [one["file"] for one in node.backups()["backups"]]
    assert left == sorted(names)[-3:]
    (node.home.state / "files" / "a").write_text("pears")
    node.restore(file=left[0], of="shop", services=["files"])
    assert (node.home.state / "files" / "a").read_text() == "apples"
    with pytest.raises(NodeError, match="there is no backup 20200101"):
        node.restore(file="20200101T000000.000Z", of="shop", services=[])


def test_a_backup_for_somebody_removes_none_that_is_kept(node):
    names = [node.backup(services=[], about=ABOUT, keep=True)["file"] for _ in range(3)]
    node.backup(services=[], about=ABOUT, keep=False)
    assert [one["file"] for one in node.backups()["backups"]] == names


def test_the_first_one_since_what_is_live_went_live_is_kept(node):
    """Each attempt at an update makes one: the data as they were before all of them are in the first."""
    earlier = node.backup(services=[], about=ABOUT, keep=True)["file"]
    live = time.time()
    names = [node.backup(services=[], about=ABOUT, keep=True, since=live)["file"] for _ in range(6)]
    assert [one["file"] for one in node.backups()["backups"]] == [names[0], *names[-3:]]
    assert earlier not in names
    last = node.backup(services=[], about=ABOUT, keep=True, since=time.time())["file"]
    assert [one["file"] for one in node.backups()["backups"]] == [*names[-2:], last]


@pytest.mark.parametrize("file", ["../x", "x", "sent-1", "/etc/passwd", "", "got-0123456789abcdef/../../x"])
def test_other_files_have_no_name(node, file):
    for verb, more in (
        ("backup_read", {"offset": 0}),
        ("backup_remove", {}),
        ("backup_write", {"offset": 0, "data": ""}),
    ):
        with pytest.raises(NodeError, match="is no name of a backup"):
            getattr(node, verb)(file=file, **more)
    with pytest.raises(NodeError, match="is no name of a backup"):
        node.restore(file=file, of="shop", services=[])


def hostile(node, fill):
    """A whole backup with a tar of files in it that somebody made by hand."""
    inner = node.home.backups / "inner.tar"
    node.home.make_backups()
    with tarfile.open(inner, "w") as tar:
        fill(tar)
    with node.home.backup("got-0123456789abcdef").open("wb") as out:
        archive.write(out, ABOUT, [("files", lambda into: into.write(inner.read_bytes()) and None)])
    return "got-0123456789abcdef"


def test_a_tar_does_not_get_out_of_its_directory(node, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()

    def fill(tar):
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        for name in ("link/in.txt", "../../../../outside/dots.txt", f"{outside}/absolute.txt"):
            tar.addfile(tarfile.TarInfo(name))

    with pytest.raises(NodeError, match="tar: "):
        node.restore(file=hostile(node, fill), of="shop", services=[])
    assert list(outside.iterdir()) == []
    assert (node.home.state / "files" / "a").read_text() == "apples"


def test_a_link_in_the_place_of_the_directory_is_not_followed(node, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (node.home.state / "files").rename(node.home.state / "aside")
    (node.home.state / "files").symlink_to(tmp_path / "secret")
    with pytest.raises(NodeError, match="is no directory"):
        node.backup(services=["files"], about=ABOUT, keep=False)
    node.clear(services=["files"])
    assert (tmp_path / "secret" / "key").read_text() == "secret"
    assert not (node.home.state / "files").is_symlink()


def test_what_an_app_does_not_have(node):
    with pytest.raises(NodeError, match="shop has no redis here"):
        node.backup(services=["redis"], about=ABOUT, keep=False)
    with pytest.raises(NodeError, match="memcached keeps nothing"):
        node.backup(services=["memcached"], about=ABOUT, keep=False)
    with pytest.raises(NodeError, match="shop has no redis here"):
        node.clear(services=["redis"])
    other = Node(node.layout.root / "other")
    with pytest.raises(NodeError, match="has no service here"):
        other.backup(services=[], about=ABOUT, keep=False)


def test_a_verb_that_a_node_does_not_know(node):
    assert answer(VERBS, node.layout, {"verb": "fly"}, print)["error"] == (
        "the node was set up by another version, which cannot do fly; run: gitdeploy setup-node NODE"
    )


def test_accounts_are_nobodys_business(node):
    kept = json.loads((node.home.accounts / "files.json").read_text())
    assert kept["password"] == PASSWORD
    assert os.stat(node.layout.accounts).st_mode & 0o077 == 0


def test_backups_that_are_kept_are_nobodys_to_change(node):
    kept = node.backup(services=[], about=ABOUT, keep=True)["file"]
    before = node.home.backup(kept).read_bytes()
    for change in (lambda: node.backup_write(file=kept, offset=0, data=""), lambda: node.backup_remove(file=kept)):
        with pytest.raises(NodeError, match="is kept, and is not changed; see: backups"):
            change()
    assert node.home.backup(kept).read_bytes() == before


def test_services_of_another_app_are_not_waited_for_without_an_end(node):
    with open(node.layout.run / "services.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(NodeError, match=r"another app has been at what all have in common here for 0\.2 s"):
            wanted = [{"service": "files", "password": PASSWORD, "options": {}, "host": "", "clients": []}]
            node.services(services=wanted, timeout=0.2)


def test_a_file_that_changes_while_it_is_read_is_told_of(node):
    busy = node.home.state / "files" / "busy"
    busy.write_bytes(bytes(30_000_000))
    ended = threading.Event()

    def write():
        with busy.open("ab") as file:
            while not ended.wait(0.0001):
                file.write(b"more")
                file.flush()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        made = node.backup(services=["files"], about=ABOUT, keep=True)
    finally:
        ended.set()
        writing.join()
    assert [one.get("said") for one in made["services"]] == [["./busy: file changed as we read it"]]
    quiet = node.backup(services=["files"], about=ABOUT, keep=True)
    assert "said" not in quiet["services"][0]


def test_nothing_is_left_of_services_that_are_removed(node):
    node.remove_services(services=["files", "public_files", "redis"])  # it has no redis
    assert not (node.home.state / "files").exists() and not (node.home.state / "public_files").exists()
    assert not node.home.accounts.exists()
    node.remove_services(services=["files"])


def wanting(*names):
    return [{"service": name, "password": PASSWORD, "options": {}, "host": "", "clients": []} for name in names]


def test_what_does_not_work_is_mended_and_nothing_else_is_made(node):
    assert node.settle_services(services=wanting("files", "public_files"), timeout=10) == {"changed": []}
    (node.home.state / "public_files").rmdir()
    assert node.settle_services(services=wanting("files", "public_files"), timeout=10) == {"changed": ["public_files"]}
    assert (node.home.state / "public_files").is_dir()
    node.remove_services(services=["files"])
    assert node.settle_services(services=wanting("files"), timeout=10) == {"changed": []}
    kept = accounts.kept(node.home)["public_files"]
    accounts.keep(node.home, replace(kept, host="10.0.0.9", clients=("10.0.0.9", "10.0.0.1")))
    assert node.settle_services(services=wanting("public_files"), timeout=10) == {"changed": []}, "what is live uses it"
    other = [{**wanting("public_files")[0], "password": "f" * 48}]
    assert node.settle_services(services=other, timeout=10) == {"changed": []}, "what is live knows the former one"


def test_who_is_let_in_stays_so_until_the_release_is_live():
    before = Account("postgresql", "shop", PASSWORD, host="10.0.0.9", clients=("10.0.0.9", "10.0.0.1"))
    less = replace(before, clients=("10.0.0.9", "10.0.0.2"))
    assert together(before, less) == replace(less, clients=("10.0.0.9", "10.0.0.2", "10.0.0.1"))
    assert together(before, Account("postgresql", "shop", PASSWORD)) == before
    more = replace(before, clients=(*before.clients, "10.0.0.3"))
    assert together(before, more) is more


@pytest.mark.parametrize(
    ("before", "wanted", "waits"),
    [
        ({}, {"options": {"memory": ("99MB",)}}, True),
        ({}, {"password": "f" * 48}, False),
        ({}, {"host": "10.0.0.9", "clients": ("10.0.0.1",)}, False),
        ({"host": "10.0.0.9", "clients": ("10.0.0.1",)}, {}, True),
        ({"host": "10.0.0.9", "clients": ("10.0.0.1",)}, {"host": "10.0.0.9", "clients": ("10.0.0.2",)}, True),
    ],
)
def test_a_change_waits_if_the_new_release_can_start_without_it(before, wanted, waits):
    account = Account("redis", "shop", PASSWORD)
    assert can_wait(replace(account, **before), replace(account, **wanted)) is waits


def test_what_is_the_same_database_has_one_account_when_it_is_live(node):
    assert alike("postgis") == ["postgresql"] and alike("postgresql") == ["postgis"] and alike("redis") == []
    for name in ("postgresql", "postgis"):
        accounts.keep(node.home, Account(name, "shop", PASSWORD))
    node.used(services=["postgis"])
    assert sorted(accounts.kept(node.home)) == ["files", "postgis", "public_files"]
