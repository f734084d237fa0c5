import io

import pytest

from buildless.errors import NodeError
from buildless.node.backups import replace_all
from buildless.node.layout import Layout
from buildless.service import Account, Service, find


class Database(Service):
    """One that takes what is loaded, and fails when that is to be put in its place."""

    def load(self, home, account, dumped):
        (home.node.root / "loaded").touch()

    def swap(self, home, account):
        raise NodeError("somebody else is in it", "said by the database")

    def drop(self, home, account):
        (home.node.root / "loaded").unlink()


@pytest.fixture
def home(tmp_path):
    home = Layout(tmp_path).app("shop")
    for name in ("files", "nfs"):
        find(name).install(home, Account(name, "shop"))
        (find(name).place(home) / "note").write_text("of before")
    return home


def cleared(*names):
    return [(find(name), Account(name, "shop"), None) for name in names]


def notes(home):
    places = {name: find(name).place(home) for name in ("files", "nfs")}
    return [name for name, place in places.items() if (place / "note").exists()]


def left(home):
    return sorted(path.name for path in home.node.states.iterdir()), [
        path.name for path in home.shared.parent.iterdir()
    ]


def test_all_are_replaced(home):
    replace_all(home, cleared("files", "nfs"))
    assert notes(home) == [] and left(home) == ([".shared", "shop"], ["shop"])


def test_nothing_has_changed_if_a_database_cannot_be_replaced(home):
    with pytest.raises(NodeError, match=r"^somebody else is in it$"):
        replace_all(home, [*cleared("files", "nfs"), (Database(), Account("database", "shop"), io.BytesIO())])
    assert notes(home) == ["files", "nfs"] and left(home) == ([".shared", "shop"], ["shop"])
    assert not (home.node.root / "loaded").exists()


def test_it_says_what_was_replaced_before_something_could_not_be(home, tmp_path):
    place = find("nfs").place(home)
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NodeError, match=r"^nfs: .*; files was replaced before that, the rest was not; do it again"):
        replace_all(home, cleared("nfs", "files"))
    assert notes(home) == ["nfs"] and left(home) == ([".shared", "shop"], ["shop"])
