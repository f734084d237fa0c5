"""The verbs, asked the way the server asks them: a process, JSON lines in and out."""

import json
import os
import subprocess
import sys

import pytest

SETTINGS = {"environ": {}}


class Node:
    """An agent on a root of its own."""

    def __init__(self, root):
        self.root = root
        argv = [sys.executable, "-m", "buildless.node", "--root", str(root)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0

    def ask(self, verb, **request):
        self.number += 1
        self.process.stdin.write(json.dumps({"id": self.number, "verb": verb, "app": "shop", **request}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer.pop("id") == self.number
        return answer

    def version(self, commit, files, base=None, without=()):
        """Deliver a version without a server: returns the verb's answer."""
        directory = self.ask("receive", version=commit, base=base, without=list(without))["ok"]["directory"]
        for name, text in files.items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        wrong = self.ask("verify", version=commit, tree="0" * 40, base=base)
        tree = wrong["error"].split("the id ")[1].split(",")[0]
        return self.ask("verify", version=commit, tree=tree, base=base)

    def release(self, name, commit):
        return self.ask(
            "release", release=name, version=commit, socket="/run/x.sock", settings=SETTINGS, record={"commit": commit}
        )


@pytest.fixture
def node(tmp_path):
    made = Node(tmp_path / "root")
    yield made
    made.process.stdin.close()
    assert made.process.wait(timeout=10) == 0
    made.process.stdout.close()


A, B = "a" * 40, "b" * 40


def test_survey_of_an_empty_node(node):
    facts = node.ask("survey", debs=["dpkg", "no-such-package-here"], python=sys.executable)["ok"]
    assert facts["missing_debs"] == ["no-such-package-here"]
    assert facts["python"] == list(sys.version_info[:3])
    assert facts["versions"] == [] and facts["live"] is None and "posix" in facts["os"]
    assert facts["free"]["bytes"] > 0


def test_a_python_that_does_not_run(node):
    assert "does not run" in node.ask("survey", debs=[], python="/no/python")["error"]


def test_a_version_that_differs_is_no_version_and_says_what_is_there(node):
    directory = node.ask("receive", version=A, base=None, without=[])["ok"]["directory"]
    with open(os.path.join(directory, "file"), "w") as file:
        file.write("x")
    answer = node.ask("verify", version=A, tree="0" * 40, base=None)
    assert "not 0000" in answer["error"] and answer["details"][0].endswith(" file")
    assert node.ask("state")["ok"]["versions"] == []


def test_from_version_to_live_and_back(node):
    node.version(A, {"one": "1", "dir/two": "2"})
    assert node.version(B, {"one": "changed"}, base=A, without=["one"])["ok"]["files"] == 2
    versions = node.root / "srv/apps/shop/versions"
    assert (versions / A / "dir/two").samefile(versions / B / "dir/two")
    assert (versions / A / "one").read_text() == "1" and (versions / B / "one").read_text() == "changed"
    for name, commit in (("v1", A), ("v2", B)):
        node.release(name, commit)
        node.ask("activate", release=name)
    live = node.root / "srv/apps/shop/live"
    assert os.readlink(live) == "releases/v2" and (live / "tree/one").read_text() == "changed"
    assert (live / "settings").stat().st_mode & 0o777 == 0o600
    assert node.ask("activate", release="v1")["ok"]["before"] == "v2"
    assert (live / "tree/one").read_text() == "1"


def test_a_release_that_is_not_complete_is_not_switched_to(node):
    assert "not complete" in node.ask("activate", release="v9")["error"]


def test_discard_leaves_nothing_of_a_first_attempt(node):
    node.version(A, {"one": "1"})
    node.release("v1", A)
    node.ask("discard", release="v1", version=A)
    assert not (node.root / "srv/apps/shop").exists() and not (node.root / "var/log/apps/shop").exists()


def test_discard_keeps_what_is_live_or_shared(node):
    node.version(A, {"one": "1"})
    node.release("v1", A)
    node.ask("activate", release="v1")
    node.release("v2", A)
    node.ask("discard", release="v2", version=A)
    node.ask("discard", release="v1", version=A)
    state = node.ask("state")["ok"]
    assert state["versions"] == [A] and state["live"] == "v1"


def test_prune_keeps_what_it_is_told_and_what_is_live(node):
    for number in range(1, 5):
        commit = str(number) * 40
        node.version(commit, {"file": str(number)})
        node.release(f"v{number}", commit)
    node.ask("activate", release="v1")
    assert node.ask("prune", keep=["v4"])["ok"]["releases"] == ["v2", "v3"]
    state = node.ask("state")["ok"]
    assert state["versions"] == ["1" * 40, "4" * 40]
    assert [release["release"] for release in state["releases"]] == ["v1", "v4"]


def test_compiled_modules_of_unchanged_files_go_on(node):
    node.version(A, {"same.py": "x = 1\n", "other.py": "y = 1\n"})
    top = (node.root / "srv/apps/shop/versions").resolve()
    cache = node.root / "var/cache/apps/shop/pycache"
    code = "import same, other"
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONPATH": str(top / A)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=30)
    node.version(B, {"other.py": "y = 2\n"}, base=A, without=["other.py"])
    compiled = [path.name.partition(".")[0] for path in (cache / str(top / B)[1:]).glob("*.pyc")]
    assert compiled == ["same"]


def test_a_spare_copy_begins_the_next_version(node):
    files = {"one": "1", "dir/two": "2", "dir/sub/three": "3", "gone/four": "4"}
    node.version(A, files)
    assert "ok" in node.ask("spare", version=A)
    versions = node.root / "srv/apps/shop/versions"
    assert (versions / f".spare-{A}" / "one").samefile(versions / A / "one")
    assert node.ask("state")["ok"]["versions"] == [A]
    answer = node.version(
        B, {"one": "changed", "dir/sub": "now a file"}, base=A, without=["one", "dir/sub/three", "gone/four"]
    )
    assert answer["ok"]["files"] == 3
    assert sorted(path.name for path in versions.glob(".spare*")) == []
    assert (versions / A / "dir/sub/three").read_text() == "3" and not (versions / B / "gone").exists()
    assert (versions / B / "dir/two").samefile(versions / A / "dir/two")
    node.ask("spare", version=A)
    node.ask("spare", version=B)
    assert [path.name for path in versions.glob(".spare*")] == [f".spare-{B}"]


def test_half_a_version_has_no_name(node):
    node.version(A, {"one": "1"})
    node.release("v1", A)
    node.version(B, {"two": "2"})
    node.ask("prune", keep=["v1"])
    assert node.ask("state")["ok"]["versions"] == [A]
    assert node.ask("verify", version=A, tree="0" * 40, base=None)["ok"]["files"] == 1  # it is there, and stays


def test_what_never_came_to_an_end_is_forgotten_and_what_is_live_is_not(node):
    node.version(A, {"one": "1"})
    assert node.ask("forget")["ok"]["forgotten"] and not (node.root / "srv/apps/shop").exists()
    node.version(A, {"one": "1"})
    node.release("v1", A)
    node.ask("activate", release="v1")
    assert not node.ask("forget")["ok"]["forgotten"]
    assert node.ask("state")["ok"]["live"] == "v1"


def test_an_unknown_request_is_an_answer_too(node):
    answer = node.ask("format", disk="/dev/sda")
    assert "KeyError" in answer["error"]
