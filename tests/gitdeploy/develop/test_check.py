"""What `check` says of a directory, in the words of a push; all of it at once."""

import os
import subprocess

import pytest

PYTHON = "platform: python, wsgi\napp: hello:application\n"
GOOD = {"app.yaml": PYTHON, "hello.py": "application = None\n"}


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d" * 32 + "\nsize 12345\n"


def faults(said):
    return [line.removeprefix(" !     ") for line in said.splitlines() if line.startswith(" !     ")]


def test_a_good_commit(gitdeploy, files, commit):
    files(GOOD, "shop")
    commit("shop", "Sell apples")
    said = gitdeploy("check", cwd="shop").splitlines()
    assert said[0].startswith("-----> Checking ") and said[0].endswith(" 'Sell apples'")
    assert said[1] == "-----> Checked 2 files, 65 B"
    assert said[2].startswith("-----> A push would not be refused") and len(said) == 3


def test_all_faults_at_once_with_their_lines(gitdeploy, files, commit, tmp_path):
    files({"app.yaml": PYTHON + "pingg: /\npython: 3.10\n", "hello.py": "", "big.bin": LFS}, "shop")
    os.symlink("/etc/passwd", tmp_path / "shop" / "secret")
    commit("shop")
    found = faults(gitdeploy("check", "shop", status=1))
    assert found[0] == 'app.yaml:3: unknown key "pingg"; did you mean ping?' or "pingg" in found[0]
    assert found[1].startswith("app.yaml:4: python: YAML reads 3.10")
    assert found[2].startswith("big.bin: is a git-LFS pointer")
    assert found[3].startswith("secret: is a link to an absolute path")
    assert found[4:] == ["a push would be refused: 4 faults"]


def test_what_a_process_names_and_is_not_there(gitdeploy, files, commit):
    yaml = "platform: command\ncommand: serve.py x\nprocesses:\n  a: bin/none\n  b: celery worker\n  c: lib\n  d: shop.x:y\n"
    files({"app.yaml": yaml, "lib/x.py": ""}, "shop")
    commit("shop")
    assert faults(gitdeploy("check", "shop", status=1)) == [
        "app.yaml:2: command: there is no file serve.py in the tree; commit it, or write the one that is there",
        "app.yaml:3: processes: there is no file bin/none in the tree; commit it, or write the one that is there",
        "app.yaml:3: processes: lib is a directory; write a file",
        "a push would be refused: 3 faults",
    ]


def test_php_needs_a_directory(gitdeploy, files, commit):
    files({"app.yaml": "platform: php\n", "index.php": ""}, "shop")
    commit("shop")
    [fault, _] = faults(gitdeploy("check", "shop", status=1))
    assert fault.startswith("app.yaml:1: platform: php needs the directory of its files; write `static: DIR`")


def test_what_app_yaml_names_and_is_not_there(gitdeploy, files, commit):
    yaml = "platform: python, wsgi\nrunner: run.py\npaths: vendor, src\nstatic: public\npip: requirements.txt\n"
    files({"app.yaml": yaml, "src/x.py": "", "public": ""}, "shop")
    commit("shop")
    assert faults(gitdeploy("check", "shop", status=1)) == [
        "app.yaml:2: runner: there is no file run.py in the tree; commit it, or write the one that is there",
        "app.yaml:3: paths: there is no directory vendor in the tree; git keeps no empty directories: commit a file in it,"
        " or leave this out",
        "app.yaml:4: static: public is a file; write the directory that it is in",
        "app.yaml:5: pip: requirements.txt cannot be read (there is no such file in the tree); put the file there, in UTF-8",
        "a push would be refused: 4 faults",
    ]


def test_pth_files_that_are_right_on_one_machine_only(gitdeploy, files, commit):
    says = "is an absolute path, which is right on one machine only; write"
    more = {
        "lib/a.pth": "/home/alice/shop/src\n../src\n",
        "src/x.py": "",
        "src/b.pth": "/opt\n",
        "lib/.c.pth": "/opt\n",
    }
    files({**GOOD, "app.yaml": PYTHON + "paths: lib\n", **more, "lib/big.pth": "#\n" * 40_000}, "shop")
    commit("shop")
    assert faults(gitdeploy("check", "shop", status=1)) == [
        f'lib/a.pth:1: "/home/alice/shop/src" {says} ../src',
        "lib/big.pth has more than 65,536 bytes; write one line for each directory, or rename it",
        "a push would be refused: 2 faults",
    ]


def test_a_line_of_requirements_that_a_node_refuses(gitdeploy, files, commit):
    files({**GOOD, "app.yaml": PYTHON + "pip: requirements.txt\n", "requirements.txt": "six\n-e .\n"}, "shop")
    commit("shop")
    assert "pip: requirements.txt:2: '-e .' cannot be installed here" in gitdeploy("check", "shop", status=1)


@pytest.mark.parametrize(
    ("names", "more", "status", "said"),
    [
        (["other.py"], "", 1, "app.yaml:2: app: there is no module hello in the top of the tree; commit it"),
        (["other.py"], "deb: python3-hello\n", 0, "the push fails if no package has it"),
        (["src/hello.py"], "paths: src\n", 0, "would not be refused"),
        (["hello/__init__.py"], "", 0, "would not be refused"),
        (["hello.cpython-311-x86_64-linux-gnu.so"], "", 0, "would not be refused"),
    ],
)
def test_the_module_of_the_application(gitdeploy, files, commit, names, more, status, said):
    files({"app.yaml": PYTHON + more, **dict.fromkeys(names, "#")}, "shop")
    commit("shop")
    assert said in gitdeploy("check", "shop", status=status)


def test_the_modules_of_commands_that_are_functions(gitdeploy, files, commit):
    more = "update: hello:bring\ncron:\n  nightly: '@daily tasks:clean all'\nprocesses:\n  worker: jobs.all:run\n"
    files({**GOOD, "app.yaml": PYTHON + more, "jobs/one.py": ""}, "shop")
    commit("shop")
    said = gitdeploy("check", "shop")
    assert "warning: app.yaml:4: cron: there is no module tasks in the top of the tree; commit it" in said
    assert "warning: app.yaml:6: processes: there is no module jobs.all in the top of the tree; commit it" in said
    assert said.count("warning: ") == 2


def test_what_no_node_has(gitdeploy, files, commit):
    files({**GOOD, "app.yaml": PYTHON + "python: '<3.9'\nos: [windows, linux]\n"}, "shop")
    commit("shop")
    said = gitdeploy("check", "shop")
    assert (
        "warning: app.yaml:3: python: nodes refuse <3.9 as long as they have their own: Debian 12 3.11 and Debian 13 3.13"
        in said
    )
    assert "warning: app.yaml:4: os: nodes refuse windows: they are posix, linux, debian" in said
    files({**GOOD, "app.yaml": PYTHON + "python: '>=3.12'\nos: debian\n"}, "shop")
    commit("shop")
    assert "warning" not in gitdeploy("check", "shop")


def test_where_debian_packages_are_installed_is_said(gitdeploy, files, commit):
    files({**GOOD, "app.yaml": PYTHON + "deb: python3-hello\n"}, "shop")
    commit("shop")
    assert "warning: app.yaml:3: deb: a push installs these on machines; on the server's own" in gitdeploy(
        "check", "shop"
    )


def test_what_is_behind_a_link_is_left_to_the_push(gitdeploy, files, commit, tmp_path):
    files({"app.yaml": PYTHON + "paths: lib/python\nstatic: lib/web\n", "real/python/hello.py": ""}, "shop")
    os.symlink("real", tmp_path / "shop" / "lib")
    commit("shop")
    gitdeploy("check", "shop")


def test_the_commit_counts_and_what_is_not_in_it_is_named(gitdeploy, files, commit):
    files(GOOD, "shop")
    commit("shop")
    files({"app.yaml": "nonsense", **{f"new {number}.py": "" for number in range(6)}}, "shop")
    said = gitdeploy("check", "shop")
    assert (
        "warning: 7 uncommitted changes would not be part of the push: app.yaml, new 0.py, new 1.py, new 2.py, new 3.py"
        " and 2 more; commit what belongs to it" in said
    )


def test_a_repository_without_a_commit_and_a_directory_without_a_repository(gitdeploy, call, files, tmp_path):
    files({**GOOD, ".gitignore": "/big\n*.pyc\n", "big/huge": "x", "a.pyc": "", "inside/.git/HEAD": "x"}, "shop")
    os.symlink("hello.py", tmp_path / "shop" / "link.py")
    said = gitdeploy("check", "shop", status=1)
    assert "is no git repository yet" in said and "inside: is a submodule" in said and "Checked 5 files" in said
    call("rm", "-r", "shop/inside")
    call("git", "init", "-q", cwd="shop")
    assert "there is no commit to push yet" in gitdeploy("check", "shop")


def test_below_the_top_and_in_another_worktree(gitdeploy, call, files, commit):
    files({**GOOD, "docs/x": ""}, "shop")
    commit("shop")
    assert "all of which would be pushed" in gitdeploy("check", "docs", cwd="shop")
    call("git", "worktree", "add", "-q", "../other", "-b", "other", cwd="shop")
    assert "Checked 3 files" in gitdeploy("check", "other", GIT_DIR="/nonexistent")


def test_no_description_and_no_directory(gitdeploy, files, commit):
    files({"x": ""}, "shop")
    commit("shop")
    assert faults(gitdeploy("check", "shop", status=1))[0].startswith("there is no app.yaml at the top of the tree")
    assert "none is no directory" in gitdeploy("check", "none", status=1)


def test_a_repository_that_git_does_not_read(gitdeploy, call, tmp_path):
    call("git", "init", "-q", "--bare", "bare.git")
    assert "git does not read this repository" in gitdeploy("check", "bare.git", status=1)
    if subprocess.run(["git", "init", "-q", "--object-format=sha256", tmp_path / "long"]).returncode == 0:
        assert "SHA-256" in gitdeploy("check", "long", status=1)
