"""The verbs, asked the way the server asks them: a process, JSON lines in and out."""

import io
import json
import os
import subprocess
import sys
import time

import pytest

from buildless.node.__main__ import serve
from buildless.node.layout import Layout

SETTINGS = {"environ": {}}
SECRET = "s" * 64


class Node:
    """An agent on a root of its own."""

    def __init__(self, root):
        self.root = root
        argv = [sys.executable, "-m", "buildless.node", "--root", str(root)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0

    def ask(self, verb, **request):
        return self.call(verb, app="shop", **request)

    def call(self, verb, **request):
        self.number += 1
        self.process.stdin.write(json.dumps({"id": self.number, "verb": verb, **request}) + "\n")
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

    def release(self, name, commit, socket="/run/x.sock", **record):
        record = {"commit": commit, "hosts": [], "runs": True, **record}
        more = {"settings": SETTINGS, "record": record, "secret": SECRET, "config": {}}
        return self.ask("release", release=name, version=commit, sockets={"web": socket}, **more)


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
    (node.root / "var/log/gitdeploy").mkdir()
    for name in ("shop.log", "shop.log.1", "shop.staging.log"):
        (node.root / "var/log/gitdeploy" / name).touch()
    node.ask("discard", release="v1", version=A)
    assert not (node.root / "srv/apps/shop").exists() and not (node.root / "var/log/apps/shop").exists()
    assert os.listdir(node.root / "var/log/gitdeploy") == ["shop.staging.log"]


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
    assert node.ask("prune", keep=["v4", "v0", "v-1"])["ok"]["releases"] == ["v2", "v3"]
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


def test_a_version_that_is_not_to_be_becomes_the_spare_copy_again(node):
    before = {"app.yaml": "1", "lib/a.py": "a", "lib/gone/b.py": "b", "static/c": "c"}
    node.version("a" * 40, before)
    node.release("v1", "a" * 40)
    node.ask("activate", release="v1")
    node.ask("spare", version="a" * 40)
    node.version("b" * 40, {"app.yaml": "2", "new/d.py": "d"}, base="a" * 40, without=["app.yaml", "lib/gone/b.py"])
    node.release("v2", "b" * 40)
    assert node.ask("discard", release="v2", version="b" * 40) == {"ok": {}}
    versions = node.root / "srv/apps/shop/versions"
    assert sorted(path.name[:8] for path in versions.iterdir()) == [".index-a", ".spare-a", ".static-", "a" * 8]
    spare = versions / (".spare-" + "a" * 40)
    there = {os.path.relpath(path, spare): path for path in spare.rglob("*") if path.is_file()}
    assert {name: path.read_text() for name, path in there.items()} == before
    assert not (spare / "new").exists()
    assert all(path.samefile(versions / ("a" * 40) / name) for name, path in there.items())
    assert node.version("c" * 40, {"app.yaml": "3"}, base="a" * 40, without=["app.yaml"]) == {"ok": {"files": 4}}


def test_a_spare_copy_is_made_of_what_is_not_needed_any_more(node):
    versions = node.root / "srv/apps/shop/versions"
    node.version(A, {"one": "1", "lib/two": "2"})
    node.release("v1", A)
    node.version(B, {"one": "changed", "new/three": "3"}, base=A, without=["one"])
    node.release("v2", B)
    node.ask("activate", release="v2")
    node.ask("spare", version=B)
    made = (versions / f".spare-{B}").stat().st_ino
    node.ask("activate", release="v1")
    assert node.ask("spare", version=A) == {"ok": {}}
    spare = versions / f".spare-{A}"
    assert spare.stat().st_ino == made and not (spare / "new").exists()
    assert (spare / "one").samefile(versions / A / "one") and (spare / "lib/two").samefile(versions / A / "lib/two")
    versions_left = {path.name for path in versions.iterdir()}
    assert versions_left == {A, B, f".index-{A}", f".index-{B}", f".spare-{A}"}
    assert node.version("c" * 40, {"one": "3"}, base=A, without=["one"]) == {"ok": {"files": 2}}  # it uses the copy up
    node.release("v3", "c" * 40)
    node.ask("activate", release="v3")
    pruned = (versions / B).stat().st_ino
    assert node.ask("prune", keep=["v1", "v3"])["ok"]["releases"] == ["v2"]
    assert (versions / (".spare-" + "c" * 40)).stat().st_ino == pruned
    assert not (versions / B).exists() and not (versions / f".index-{B}").exists()


def test_a_version_that_somebody_deleted_from_is_none_to_begin_with(node):
    node.version(A, {"one": "1", "two": "2"})
    home = node.root / "srv/apps/shop/versions" / A
    home.chmod(0o755)
    (home / "two").unlink()
    answer = node.ask("receive", version=B, base=A, without=["one"])
    assert answer["error"].startswith("the version to begin with is not whole: ") and "two" in answer["error"]
    assert node.version(B, {"one": "1", "two": "2"}) == {"ok": {"files": 2}}  # all of it, counting on nothing


def test_pruning_says_the_bytes_that_nothing_else_has(node):
    node.version(A, {"one": "1" * 1000, "both": "2" * 500})
    node.release("v1", A)
    node.version(B, {"three": "3"}, base=A, without=["one"])
    node.release("v2", B)
    node.ask("activate", release="v2")
    node.ask("spare", version=B)
    assert node.ask("prune", keep=["v2"]) == {"ok": {"releases": ["v1"], "freed": 1000}}


def test_half_a_version_has_no_name(node):
    node.version(A, {"one": "1"})
    node.release("v1", A)
    node.version(B, {"two": "2"})
    node.ask("prune", keep=["v1"])
    assert node.ask("state")["ok"]["versions"] == [A]
    assert node.ask("verify", version=A, tree="0" * 40, base=None)["ok"]["files"] == 1  # it is there, and stays


def test_an_index_that_was_cut_short_is_no_obstacle(node):
    node.version(A, {"one": "1"})
    node.release("v1", A)
    left = node.root / f"srv/apps/shop/versions/.index-{B}.new"
    left.touch()
    assert "ok" in node.ask("prune", keep=["v1"])
    assert not left.exists()


def test_what_never_came_to_an_end_is_forgotten_and_what_is_live_is_not(node):
    node.version(A, {"one": "1"})
    assert node.ask("forget")["ok"]["forgotten"] and not (node.root / "srv/apps/shop").exists()
    node.version(A, {"one": "1"})
    node.release("v1", A)
    node.ask("activate", release="v1")
    assert not node.ask("forget")["ok"]["forgotten"]
    assert node.ask("state")["ok"]["live"] == "v1"


def test_what_is_withdrawn_is_live_no_more_and_stays_with_all_it_has_until_it_is_live_again(node):
    node.version(A, {"one": "1"})
    node.release("v1", A, hosts=["shop.test"])
    node.ask("activate", release="v1")
    for _ in range(2):
        assert "ok" in node.ask("withdraw")
        assert node.ask("state")["ok"]["live"] is None and node.ask("state")["ok"]["withdrawn"]
        assert node.call("apps")["ok"] == {"apps": ["shop"], "live": [], "withdrawn": ["shop"]}
        assert node.ask("survey", debs=[], python=None)["ok"]["hosts"] == {}
    assert not node.ask("forget")["ok"]["forgotten"]
    assert [one["release"] for one in node.ask("state")["ok"]["releases"]] == ["v1"]
    node.ask("activate", release="v1")
    assert node.call("apps")["ok"] == {"apps": ["shop"], "live": ["shop"], "withdrawn": []}
    node.ask("withdraw")
    assert node.ask("forget", live=True)["ok"]["forgotten"] and node.call("apps")["ok"]["apps"] == []


def test_an_unknown_request_is_an_answer_too(node):
    answer = node.ask("format", disk="/dev/sda")
    assert "which cannot do format; run: gitdeploy setup-node" in answer["error"]


def test_all_that_there_is_anything_of(node):
    node.version(A, {"one": "1"})
    (node.root / "var/log/apps/old.staging").mkdir(parents=True)
    (node.root / "srv/apps/not_an_app").mkdir()
    assert node.call("apps")["ok"]["apps"] == ["old.staging", "shop"]


def test_survey_tells_hosts_set_up_and_clock(node):
    node.version(A, {"one": "1"})
    node.release("v1", A, hosts=["shop.test", "www.shop.test"], mail=["*@shop.test"])
    (node.root / "usr/lib/gitdeploy").mkdir(parents=True)
    (node.root / "usr/lib/gitdeploy/version").write_text("1a2b\n")
    facts = node.ask("survey", debs=[], python=None)["ok"]
    assert facts["hosts"] == {} and facts["setup"] == "1a2b" and abs(facts["clock"] - time.time()) < 60
    node.ask("activate", release="v1")
    facts = node.ask("survey", debs=[], python=None)["ok"]
    assert facts["hosts"] == {"shop.test": "shop", "www.shop.test": "shop"} and facts["mail"] == {"*@shop.test": "shop"}


def test_examine_reads_every_byte(node):
    node.version(A, {"one": "1", "dir/two": "2"})
    assert node.ask("examine")["ok"] == {"live": None, "commit": None, "tree": None, "differs": []}
    tree = node.ask("verify", version=A, tree="0" * 40, base=None)
    assert tree["ok"]["files"] == 2
    node.release("v1", A, tree="0" * 40)
    node.ask("activate", release="v1")
    wrong = node.ask("examine")["ok"]
    assert wrong["differs"] == ["."] and wrong["commit"] == A and wrong["live"] == "v1"
    node.release("v2", A, tree=wrong["tree"])
    node.ask("activate", release="v2")
    assert node.ask("examine")["ok"]["differs"] == []
    two = node.root / "srv/apps/shop/versions" / A / "dir/two"
    times = two.stat()
    two.chmod(0o644)
    two.write_text("X")
    os.utime(two, ns=(times.st_atime_ns, times.st_mtime_ns))
    (two.parent.parent / "one").chmod(0o555)
    two.parent.chmod(0o755)
    (two.parent / "more").touch()
    assert node.ask("examine")["ok"]["differs"] == ["dir/more", "dir/two", "one"]


def test_the_time_of_a_file_comes_from_its_content(node):
    node.version(A, {"one": "1", "other": "1", "two": "2"})
    tree = node.root / "srv/apps/shop/versions" / A
    one, other, two = ((tree / name).stat().st_mtime for name in ("one", "other", "two"))
    assert one == other != two and one == int(one) and 315_532_800 <= one < time.time()
    node.version(B, {"one": "3"}, base=A, without=["one"])
    assert (tree.with_name(B) / "one").stat().st_mtime not in (one, two)
    assert (tree.with_name(B) / "two").stat().st_mtime == two
    C = "c" * 40
    node.version(C, {"one": "1"}, base=B, without=["one"])
    assert (tree.with_name(C) / "one").stat().st_mtime == one


def test_nothing_outside_of_a_version_is_taken_out(node):
    node.version(A, {"one": "1"})
    node.ask("spare", version=A)
    (node.root / "precious").touch()
    answer = node.ask("receive", version=B, base=A, without=["../../../../../precious"])
    assert "is not in the version to begin with" in answer["error"]
    assert (node.root / "precious").exists()


def test_what_a_release_has_for_web_servers(node):
    node.version(A, {"www/x": "1"})
    node.release("v1", A, static="www")
    node.release("v2", A)
    home = node.root / "srv/apps/shop/releases"
    assert os.readlink(home / "v1/static") == "tree/www" and (home / "v1/name").read_text() == "v1\n"
    assert list((home / "v2/static").iterdir()) == [] and (home / "v1/runs").exists()
    assert "not below the top of the tree" in node.release("v3", A, static="../../../..")["error"]


def test_whose_processes_serve_a_kept_release_is_kept(node):
    node.version(A, {"one": "1"})
    for name, serving in (("v1", "v1"), ("v2", "v2"), ("v3", "v1")):
        node.release(name, A, socket=f"/run/apps/shop/{serving}.sock")
    assert node.ask("prune", keep=["v3"])["ok"]["releases"] == ["v2"]


def test_lines_for_the_pusher_come_before_the_answer(capsys, monkeypatch, tmp_path):
    def talk(layout, *, word):
        yield word
        yield word + "!"
        return {"said": 2}

    monkeypatch.setattr(sys, "stdin", io.StringIO('{"id": 7, "verb": "talk", "word": "hello"}\n'))
    serve({"talk": talk}, Layout(tmp_path))
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"id": 7, "say": "hello"},
        {"id": 7, "say": "hello!"},
        {"id": 7, "ok": {"said": 2}},
    ]


def test_what_is_to_be_seen_to_before_the_first_request_is_done_once(capsys, monkeypatch, tmp_path):
    done = []
    requests = '{"id": 1, "verb": "count"}\n{"id": 2, "verb": "count"}\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(requests))
    serve({"count": lambda layout: {"done": list(done)}}, Layout(tmp_path), begins=lambda: done.append("begun"))
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()] == [{"done": ["begun"]}] * 2


def test_the_secret_is_the_apps_and_survives_its_releases(node):
    place = node.root / "srv/apps/shop/secret"
    node.version(A, {"a.txt": "a"})
    node.release("v1", A)
    assert place.read_text() == SECRET + "\n" and place.stat().st_mode & 0o777 == 0o600
    before = place.stat()
    node.version(B, {"a.txt": "b"}, base=A)
    node.release("v2", B)
    node.ask("activate", release="v2")
    node.ask("prune", keep=[])
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("end", ["discard", "forget"])
def test_the_secret_goes_with_the_app(node, end):
    node.version(A, {"a.txt": "a"})
    node.release("v1", A)
    what = {"release": "v1", "version": A} if end == "discard" else {}
    assert "ok" in node.ask(end, **what)
    assert not (node.root / "srv/apps/shop").exists()


def test_a_secret_that_is_another_or_none_is_replaced(node):
    place = node.root / "srv/apps/shop/secret"
    node.version(A, {"a.txt": "a"})
    node.release("v1", A)
    for wrong in ("", "x" * 64):
        place.write_text(wrong)
        node.release("v1", A)
        assert place.read_text() == SECRET + "\n"
    assert [path.name for path in place.parent.glob(".secret-*")] == []


def test_maintenance_is_kept_beside_the_releases(node):
    mark = node.root / "srv/apps/shop/releases/maintenance"
    assert node.ask("maintenance", on=True)["ok"] == {} and not mark.exists()  # there is nothing of it yet
    mark.parent.mkdir(parents=True)
    node.ask("maintenance", on=True)
    node.ask("maintenance", on=True)
    node.ask("unhold")
    assert mark.exists()
    node.ask("maintenance", on=False)
    node.ask("maintenance", on=False)
    assert not mark.exists()
