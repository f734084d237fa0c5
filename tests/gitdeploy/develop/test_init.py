"""What `init` makes is whole: it passes its own test and the check, and answers where its framework is there."""

import sys

import pytest

from gitdeploy.develop import init


@pytest.mark.parametrize("framework", ["none", "flask", "django"])
def test_what_is_made_is_what_a_push_takes(gitdeploy, commit, call, framework):
    said = gitdeploy("init", "shop", "--framework", framework)
    assert "git push deploy master" in said and "cd shop\n" in said
    assert "is no git repository yet" in gitdeploy("check", "shop")
    commit("shop")
    warnings = [line for line in gitdeploy("check", "shop").splitlines() if "warning" in line]
    assert len(warnings) == (framework != "none") and all(
        "deb: a push installs these on machines" in one for one in warnings
    )
    tested = gitdeploy("test", "shop")
    assert "OK" in tested
    if "skipped" not in tested:  # the framework is there
        assert "It works." in gitdeploy("run", "shop", "/")
    assert call("git", "status", "--porcelain", cwd="shop") == ""


def test_the_test_runs_under_pytest_too(gitdeploy, call):
    gitdeploy("init", "shop")
    assert "2 passed" in call(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd="shop")


def test_nothing_is_overwritten(gitdeploy, files, tmp_path):
    files({"shop/app.yaml": "mine", "file": ""})
    assert "shop is not empty, it has app.yaml; nothing is overwritten" in gitdeploy("init", "shop", status=1)
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["app.yaml"]
    assert "file is a file" in gitdeploy("init", "file", status=1)
    assert "file/shop" in gitdeploy("init", "file/shop", status=1)
    assert "usage: init" in gitdeploy("init", status=2)
    assert "invalid choice" in gitdeploy("init", "x", "--framework", "rails", status=2)


def test_an_empty_repository_is_filled(gitdeploy, call, tmp_path):
    (tmp_path / "shop").mkdir()
    call("git", "init", "-q", cwd="shop")
    assert "cd " not in gitdeploy("init", ".", cwd="shop")
    assert (tmp_path / "shop" / "src" / "shop.py").is_file()


@pytest.mark.parametrize(
    ("directory", "name", "module"),
    [
        ("shop", "shop", "shop"), ("My Shop", "my-shop", "my_shop"), ("json", "json", "json_app"),
        ("Django", "django", "django_app"), ("class", "class", "class_app"), ("1st", "st", "st"), ("---", "shop", "shop"),
        ("www", "my-www", "my_www"), ("x" * 99, "x" * 40, "x" * 40), ("été", "t", "t"), ("a--b", "a-b", "a_b"),
    ],
)  # fmt: skip
def test_names(tmp_path, directory, name, module):
    assert init.called(tmp_path / directory) == name
    assert init.module_name(name) == module


def test_no_home_of_a_server_is_made(gitdeploy, tmp_path):
    gitdeploy("init", "shop")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop"]
