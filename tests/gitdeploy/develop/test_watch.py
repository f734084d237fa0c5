"""Which changes of a tree count."""

import os
import shutil

import pytest

from gitdeploy.develop.watch import Watch


@pytest.fixture
def top(tmp_path):
    for name in ("app.yaml", "src/shop.py", "static/style.css", ".git/HEAD", ".venv/x.py", "var/shop.db", "a.log"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("one")
    (tmp_path / ".gitignore").write_text("/var/\n*.log\n")
    (tmp_path / "outside").symlink_to(tmp_path.parent)
    (tmp_path / "gone").symlink_to("nowhere")
    return tmp_path


def test_what_came_went_and_changed(top):
    watch = Watch(top)
    assert watch.changed() == []
    (top / "src/new.py").write_text("")
    (top / "app.yaml").unlink()
    (top / "static/style.css").write_text("two, longer")
    assert watch.changed() == ["app.yaml", "src/new.py", "static/style.css"]
    assert watch.changed() == []


def test_a_file_of_the_same_size_and_second_and_one_in_its_place(top):
    watch = Watch(top)
    before = (top / "src/shop.py").stat()
    (top / "src/shop.py").write_text("two")
    os.utime(top / "src/shop.py", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert watch.changed() == ["src/shop.py"]
    (top / "src/other.py").write_text("two")
    os.utime(top / "src/other.py", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    watch.changed()
    (top / "src/other.py").replace(top / "src/shop.py")
    assert watch.changed() == ["src/other.py", "src/shop.py"]


def test_a_file_beside_the_tree_that_is_a_link_and_is_not_there_yet(top, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    real, beside = elsewhere / "real.yaml", elsewhere / "development.yaml"
    watch = Watch(top, (), (beside,))
    beside.symlink_to(real)
    assert watch.changed() == []
    real.write_text("one")
    assert watch.changed() == [str(beside)]
    real.write_text("two, longer")
    assert watch.changed() == [str(beside)] and watch.changed() == []
    real.unlink()
    assert watch.changed() == [str(beside)]


def test_a_directory_beside_the_tree_that_is_not_there_yet(top, tmp_path_factory):
    beside = tmp_path_factory.mktemp("elsewhere") / "config" / "shop"
    watch = Watch(top, (), (beside,))
    (beside / "keys").mkdir(parents=True)
    assert watch.changed() == [str(beside), f"{beside}/keys"]
    (beside / "keys" / "mail").write_text("one")
    assert watch.changed() == [f"{beside}/keys/mail"]
    (beside / ".mail.swp").write_text("one")
    assert watch.changed() == []
    (beside / "keys" / "mail").write_text("two, longer")
    assert watch.changed() == [f"{beside}/keys/mail"] and watch.changed() == []
    (beside / "round").symlink_to(".")
    assert watch.changed() == []
    shutil.rmtree(beside)
    assert watch.changed() == [str(beside), f"{beside}/keys", f"{beside}/keys/mail"]


@pytest.mark.parametrize(
    "path",
    [
        ".git/HEAD", ".venv/x.py", "var/shop.db", "a.log", "static/style.css", "src/__pycache__/x.pyc", "src/.shop.py.swp",
        "src/shop.py~", "src/.#shop.py", "src/#shop.py#", "src/4913", "node_modules/x/index.js",
    ],
)  # fmt: skip
def test_what_does_not_count(top, path):
    watch = Watch(top, ("static",))
    (top / path).parent.mkdir(parents=True, exist_ok=True)
    (top / path).write_text("two, longer")
    assert watch.changed() == []


def test_what_is_ignored_is_asked_anew_when_that_changes(top):
    watch = Watch(top)
    (top / ".gitignore").write_text("/src/\n")
    assert ".gitignore" in watch.changed()
    watch.changed()
    (top / "src/shop.py").write_text("two, longer")
    (top / "var/shop.db").write_text("two, longer")
    assert watch.changed() == ["var/shop.db"]


def test_a_tree_that_is_gone_has_lost_all(top):
    watch = Watch(top)
    top.rename(top.parent / "away")
    assert "app.yaml" in watch.changed()
