"""Files for a one-off command: a real agent takes them, and they are there for as long as somebody holds its input."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from buildless.errors import NodeError
from buildless.node import sent
from buildless.node.layout import AppLayout, Layout
from buildless.node.stream import DATA, END, frame

AWKWARD = b"two words 'and' \"quotes\"\n-x \xff.csv"


@pytest.fixture
def home(tmp_path: Path) -> AppLayout:
    made = Layout(tmp_path).app("shop")
    made.release("v1").mkdir(parents=True)
    made.cache.mkdir(parents=True)
    made.live.symlink_to("releases/v1")
    return made


def archive(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


class Agent:
    """One that was asked for `files`."""

    def __init__(self, home: AppLayout, timeout: float = 60.0) -> None:
        self.home = home
        argv = (sys.executable, "-m", "buildless.node", "--root", str(home.node.root))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
        self.write(json.dumps({"id": 1, "verb": "files", "app": "shop", "timeout": timeout}).encode() + b"\n")
        assert json.loads(self.line()) == {"id": 1, "ok": {}}

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def send(self, data: bytes) -> str:
        """Send an archive; returns what names the files."""
        for start in range(0, len(data), 4099):
            self.write(frame(DATA, data[start : start + 4099]))
        self.write(frame(END))
        return self.line().decode().strip()

    def end(self) -> tuple[int, str]:
        """Let go of it; returns its exit status, and what it said went wrong."""
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err.decode()


@pytest.fixture
def agent(home: AppLayout) -> Iterator[Agent]:
    made = Agent(home)
    yield made
    made.process.kill()
    made.process.communicate(timeout=60)


def left(home: AppLayout) -> list[str]:
    return os.listdir(home.cache)


def test_each_word_gets_its_file_and_they_go_with_whoever_sent_them(home: AppLayout, agent: Agent) -> None:
    awkward = os.fsdecode(AWKWARD)
    name = agent.send(archive({"1/a.csv": b"plums", "3/a.csv": b"pears", f"4/{awkward}": bytes(range(256)) * 999}))
    top = home.sent(name)
    words = sent.words_with(home, ["bin/x", "", "a", "--in=", ""], name)
    assert words == ["bin/x", f"{top}/1/a.csv", "a", f"--in={top}/3/a.csv", f"{top}/4/{awkward}"]
    assert [Path(words[1]).read_bytes(), (top / "3/a.csv").read_bytes()] == [b"plums", b"pears"]
    assert Path(words[4]).read_bytes() == bytes(range(256)) * 999
    assert agent.end() == (0, "") and left(home) == []
    with pytest.raises(NodeError, match="the files that were sent are gone; send them again"):
        sent.words_with(home, words, name)


@pytest.mark.parametrize("whole", [0, 700, 40_000])
def test_files_that_do_not_arrive_whole_are_not_there(home: AppLayout, agent: Agent, whole: int) -> None:
    assert agent.send(archive({"1/a.csv": b"plums\n" * 9000})[:whole]) == ""
    assert "gitdeploy: the files did not arrive whole; send them again" in agent.end()[1]
    assert left(home) == []


def test_one_who_is_lost_on_the_way_leaves_nothing(home: AppLayout, agent: Agent) -> None:
    agent.write(frame(DATA, archive({"1/a.csv": b"plums\n" * 9000})[:20_000]))
    assert agent.end()[0] == 1 and left(home) == []


def test_what_is_sent_stays_in_its_place(home: AppLayout, agent: Agent) -> None:
    name = agent.send(archive({"/1/a.csv": b"absolute", "2/b.csv": b"below"}))
    top = home.sent(name)
    assert sent.words_with(home, ["x", "", ""], name) == ["x", f"{top}/1/a.csv", f"{top}/2/b.csv"]
    with pytest.raises(NodeError, match="'2' in the archive is no number of a word"):
        sent.words_with(home, ["x", ""], name)
    above = Agent(home)
    assert above.send(archive({"1/../../../a.csv": b"above"})) == ""
    assert "the files did not arrive whole" in above.end()[1] and left(home) == [name]


@pytest.mark.parametrize(
    "what", ["a link to a directory", "a link to a file", "two files", "none", "a file", "written otherwise"]
)
def test_a_number_is_a_directory_with_one_file(home: AppLayout, agent: Agent, what: str) -> None:
    """The archive is anybody's, and the directory is the app's: root looks at it, and would say what is elsewhere."""
    name = agent.send(archive({"0/a.csv": b"plums"}))
    top, other = home.sent(name), home.node.root / "other"
    other.mkdir()
    (other / "hidden.txt").write_text("another app's")
    if what == "a link to a directory":
        (top / "1").symlink_to(other)
    elif what == "a file":
        (top / "1").write_text("pears")
    elif what == "written otherwise":
        (top / "00").mkdir()
        (top / "00/b.csv").write_text("pears")
    else:
        (top / "1").mkdir()
        if what == "a link to a file":
            (top / "1/a.csv").symlink_to(other / "hidden.txt")
        elif what == "two files":
            (top / "1/a.csv").write_text("pears")
            (top / "1/b.csv").write_text("pears")
    number, why = ("00", "no number of a word") if what == "written otherwise" else ("1", "no directory with one file")
    with pytest.raises(NodeError, match=f"'{number}' in the archive is {why}.*send the files again"):
        sent.words_with(home, ["x", ""], name)


def test_a_link_is_no_directory_of_files(home: AppLayout) -> None:
    (home.node.root / "other/1").mkdir(parents=True)
    (home.node.root / "other/1/hidden.txt").write_text("another app's")
    home.sent("run-0123456789abcdef").symlink_to(home.node.root / "other")
    with pytest.raises(NodeError, match="the files that were sent are gone"):
        sent.words_with(home, ["x", ""], "run-0123456789abcdef")


def test_its_time_is_limited(home: AppLayout) -> None:
    agent = Agent(home, timeout=0.2)
    assert agent.process.wait(60) == 124 and left(home) == []
    agent.end()


def test_what_the_killed_have_left_goes_with_the_next_and_nothing_else_does(home: AppLayout, agent: Agent) -> None:
    name = agent.send(archive({"1/a.csv": b"plums"}))
    killed = Agent(home)
    gone = killed.send(archive({"1/a.csv": b"pears"}))
    killed.process.send_signal(signal.SIGKILL)
    killed.end()
    assert sorted(left(home)) == sorted([name, gone])
    sent.sweep(home)
    assert left(home) == [name]


def test_what_was_left_half_made_or_deep_is_deleted_by_the_next(home: AppLayout) -> None:
    old, new = home.cache / ".run-0123456789abcdef", home.cache / ".run-fedcba9876543210"
    old.mkdir()
    os.utime(old, (1, 1))
    new.mkdir()
    deep = home.sent("run-0123456789abcdef")
    deep.mkdir()
    inside = os.open(deep, os.O_RDONLY)
    for _ in range(1500):  # more than Python calls itself
        os.mkdir("d", dir_fd=inside)
        above, inside = inside, os.open("d", os.O_RDONLY, dir_fd=inside)
        os.close(above)
    os.close(inside)
    agent = Agent(home)
    name = agent.send(archive({"1/a.csv": b"plums"}))
    assert sorted(left(home)) == [new.name, name]
    assert agent.end() == (0, "")
