"""A verb that becomes a command: its frames, and what of it systemd is told."""

import json
import os
import threading
from pathlib import Path

import pytest

from buildless.errors import NodeError
from buildless.node import oneoff, units
from buildless.node.confined import properties, systemd_run
from buildless.node.layout import Layout
from buildless.node.stream import DATA, END, SIZE, frame, frames

WEB = {"processes": 4, "memory": 300_000_000, "boot": 60.0}


def test_frames_are_whole_in_whatever_pieces_they_come():
    read, write = os.pipe()
    sent = frame(DATA, b"plums\n" * 30_000) + frame(SIZE, b"\0\x18\0\x50") + frame(END) + frame(DATA, b"cut off")[:-1]

    def send():
        for start in range(0, len(sent), 4099):
            os.write(write, sent[start : start + 4099])
        os.close(write)

    threading.Thread(target=send).start()
    assert list(frames(read)) == [(DATA, b"plums\n" * 30_000), (SIZE, b"\0\x18\0\x50"), (END, b"")]
    os.close(read)


HOME = Layout(Path("/")).app("shop")
TERMINAL = {"term": "xterm", "rows": 1, "columns": 1}


def asked(words, **more):
    return oneoff.Asked("python3", words, **{"terminal": None, "timeout": 1.0, **more})


def test_what_is_asked_for_means_nothing_to_systemd():
    words = ["bin/x.py", "$HOME", "${PATH}", "%i", "; id", "'\"\n"]
    told = oneoff.request(HOME, asked(words, terminal=TERMINAL))
    assert "$" not in told and "\n" not in told
    assert json.loads(told) == {"words": words, "term": "xterm", "tests": False, "held": str(HOME.held)}
    for wrong in (["a\0b"], [1], [None]):
        with pytest.raises(NodeError, match="the command is none"):
            oneoff.request(HOME, asked(wrong))


def test_while_nobody_is_let_in_only_a_deploy_runs_commands(tmp_path):
    home = Layout(tmp_path).app("shop")
    home.releases.mkdir(parents=True)
    oneoff.let_in(home, asked(["x"]))
    home.held.touch()
    oneoff.let_in(home, asked(["x"], release="v2"))
    with pytest.raises(NodeError, match="its data are being brought up to date"):
        oneoff.let_in(home, asked(["x"]))


def test_its_service_is_cut_off_as_the_apps_web_processes_are():
    app = Layout(Path("/")).app("shop.staging")
    said = properties(app, WEB)
    [service] = [
        text for path, text in units.units(app, {"web": WEB, "runs": True}).items() if path.suffix == ".service"
    ]
    own = {"TimeoutStopSec=5", "SendSIGHUP=yes"}
    assert set(said) - own <= set(service.splitlines()) and "ProtectSystem=strict" in said
    line = systemd_run("app-shop-run@1.service", said, ("/usr/lib/gitdeploy/run", "/srv/x", "{}"), None)
    assert line[-4:] == ["--", "/usr/lib/gitdeploy/run", "/srv/x", "{}"] and "--pipe" in line
    assert all(line[place + 1].count("=") for place, word in enumerate(line) if word == "--property")


def test_nothing_is_live(tmp_path):
    with pytest.raises(NodeError, match="nothing of shop is live here"):
        oneoff.run(Layout(tmp_path), "shop", python="python3", words=["x"], terminal=None, timeout=1)
