"""Verbs that are killed before each of the changes that they make: what they left can be undone, and done again."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from buildless.node import verbs
from buildless.node.layout import Layout

A, B, C = "a" * 40, "b" * 40, "c" * 40
CHANGES = ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "os.utime", "open")
KILLED = 9


def files(commit):
    return {"code.py": commit, "static/one.txt": commit, "static/deep/two.txt": "2", "same.txt": "same"}


def receive(layout, commit, base):
    without = [] if base is None else ["code.py", "static/one.txt"]
    into = verbs.receive(layout, "shop", version=commit, base=base, without=without)["directory"]
    for name, text in files(commit).items():
        path = os.path.join(into, name)
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)


TREES = {}


def verify(layout, commit, base):
    if commit not in TREES:
        with pytest.raises(Exception, match="the id") as error:
            verbs.verify(layout, "shop", version=commit, tree="0" * 40, base=base)
        TREES[commit] = str(error.value).split("the id ")[1].split(",")[0]
    verbs.verify(layout, "shop", version=commit, tree=TREES[commit], base=base)


def release(layout, name, commit):
    record = {"commit": commit, "tree": TREES[commit], "hosts": ["shop.example.com"], "runs": False}
    verbs.release(
        layout, "shop", release=name, version=commit, sockets={}, settings={}, record=record, secret="s" * 64, config={}
    )


STEPS = {
    "receive": lambda layout: receive(layout, C, B),
    "verify": lambda layout: verify(layout, C, B),
    "release": lambda layout: release(layout, "v3", C),
    "activate": lambda layout: verbs.activate(layout, "shop", release="v3"),
    "prune": lambda layout: verbs.prune(layout, "shop", keep=["v2", "v3"]),
    "spare": lambda layout: verbs.spare(layout, "shop", version=C),
}
UNDO = {
    "discard": lambda layout: verbs.discard(layout, "shop", release="v3", version=C),
}


@pytest.fixture(scope="module", params=["first", "spare", "another"])
def before(tmp_path_factory, request):
    """A node with two releases, the second of which is live; with a copy of it for the next one, of another one, or without."""
    layout = Layout(tmp_path_factory.mktemp("before") / "root")
    for name, commit, base in (("v1", A, None), ("v2", B, A)):
        receive(layout, commit, base)
        verify(layout, commit, base)
        release(layout, name, commit)
        verbs.activate(layout, "shop", release=name)
    if request.param != "first":
        verbs.spare(layout, "shop", version=B if request.param == "spare" else A)
    receive(layout, C, B)  # for its tree's id
    verify(layout, C, B)
    verbs.discard(layout, "shop", release="v3", version=C)
    return layout


def cut(work, layout, change):
    """Do `work` in a process that is killed before so many changes; says whether it was."""
    child = os.fork()
    if child == 0:
        left = change

        def look(event, args):
            nonlocal left
            if event in CHANGES and (event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR)):
                left -= 1
                if left < 0:
                    os._exit(KILLED)

        sys.addaudithook(look)
        try:
            work(layout)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def there(layout):
    """Every path of the app, but for what the next deploy uses up, or the next switch writes over."""
    home = layout.app("shop").home
    return {
        os.path.relpath(os.path.join(top, name), home)
        for top, directories, names in os.walk(home)
        for name in (*directories, *names)
        if ".spare-" not in os.path.join(top, name) and name != ".live-new"
    }


def whole(layout, live, commit):
    found = verbs.examine(layout, "shop")
    return (found["live"], found["commit"], found["differs"]) == (live, commit, [])


@pytest.mark.parametrize("step", [*STEPS, *UNDO])
def test_a_verb_that_is_killed_anywhere(before, tmp_path, step):
    change, killed = 0, True
    while killed:
        layout = Layout(tmp_path / f"{change}")
        shutil.copytree(before.root, layout.root, symlinks=True, copy_function=os.link)
        for name, work in STEPS.items():
            if name == step or (step == "discard" and name == "activate"):
                break
            if (step, name) != ("spare", "prune"):  # which makes one itself
                work(layout)
        killed = cut({**STEPS, **UNDO}[step], layout, change)
        live = layout.app("shop").live_release()
        assert live in ("v2", "v3") and whole(layout, live, {"v2": B, "v3": C}[live]), (step, change)
        if live == "v2":
            UNDO["discard"](layout)
            verbs.prune(layout, "shop", keep=["v1", "v2"])
            assert there(layout) == there(before) and whole(layout, "v2", B), (step, change)
        for work in STEPS.values() if live == "v2" else (STEPS["prune"], STEPS["spare"]):
            work(layout)
        assert whole(layout, "v3", C), (step, change)
        names = {path.name for path in layout.app("shop").versions.iterdir()}
        kept = {f"{what}{commit}" for commit in (B, C) for what in ("", ".index-", ".static-")}
        assert names == {*kept, f".spare-{C}"}, (step, change)
        change += 1
    assert change > 1
