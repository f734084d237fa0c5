"""The report of a real ``git receive-pack``, its words changed, its other bytes not, and what a real ``git push`` makes of it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from gitdeploy.git.pktline import MAX_ASKED, MAX_BAND, ReportFilter, capabilities, one_line, packets, pkt

ROOT = Path(__file__).parents[3]
REASON = "app.yaml:3: there is no key 'plattform'; did you mean platform?"

# Stands between the pusher's git and `git receive-pack` as the server does: raw output in a file, reason and chunk from outside.
BETWEEN = """#!{python}
import os, subprocess, sys
sys.path.insert(0, {root!r})
from gitdeploy.git.pktline import ReportFilter
report = ReportFilter()
if os.environ.get("REASON"):
    report.refuse(os.environ["REASON"])
child = subprocess.Popen(["git", "receive-pack", *sys.argv[1:]], stdout=subprocess.PIPE)
with open({raw!r}, "wb") as raw, open(1, "wb", buffering=0) as out:
    while data := os.read(child.stdout.fileno(), int(os.environ["CHUNK"])):
        raw.write(data)
        out.write(report.feed(data))
    out.write(report.close())
sys.exit(child.wait())
"""


class Remote:
    """A bare repository, a working one that pushes to it, and the filter between."""

    def __init__(self, path: Path) -> None:
        self.raw, self.path, self.work = path / "raw", path / "bare", path / "work"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(path),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.between = path / "between"
        self.between.write_text(BETWEEN.format(python=sys.executable, root=str(ROOT), raw=str(self.raw)))
        self.between.chmod(0o755)
        self.git(path, "init", "-q", "--bare", str(self.path))
        self.git(path, "init", "-q", "-b", "master", str(self.work))
        (self.work / "file").write_text("some content, which makes the pack longer than ten bytes\n")
        self.git(self.work, "add", ".")
        self.git(self.work, "commit", "-q", "-m", "first")
        self.git(self.path, "config", "receive.unpackLimit", "1")

    def git(self, where, *args, check=True, **environ):
        done = subprocess.run(
            ["git", *args], cwd=where, env={**self.environ, **environ}, capture_output=True, timeout=60, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stderr.decode() if not check else done.stdout.decode()

    def hook(self, name, text):
        hook = self.path / "hooks" / name
        hook.write_text(f"#!/bin/sh\n{text}\n")
        hook.chmod(0o755)

    def push(self, *args, reason="", chunk=65536, version=2):
        """What the pusher sees."""
        return self.git(
            self.work,
            *("-c", f"protocol.version={version}", "push", f"--receive-pack={self.between}", str(self.path)),
            *args,
            check=False,
            REASON=reason,
            CHUNK=str(chunk),
        )


@pytest.fixture
def remote(tmp_path):
    return Remote(tmp_path)


@pytest.fixture
def declining(remote):
    remote.hook("pre-receive", "echo working >&2; echo 'fatal: of the app' >&2; exit 1")
    return remote


def filtered(data: bytes, reason: str = "", chunk: int = 1 << 20) -> bytes:
    report = ReportFilter()
    if reason:
        report.refuse(reason)
    out = b"".join(report.feed(data[at : at + chunk]) for at in range(0, len(data), chunk))
    return out + report.close()


def band(data: bytes, number: int) -> bytes:
    """What is on one band after the advertisement."""
    answer = data[sum(map(len, packets(data))) :]
    return b"".join(packet[5:] for packet in packets(answer) if packet[4:5] == bytes([number]))


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("chunk", [1, 65536])
def test_the_pusher_reads_the_reason(declining, version, chunk):
    seen = declining.push("master", reason=REASON, version=version, chunk=chunk)
    assert f" ! [remote rejected] master -> master ({REASON})\n" in seen
    assert "remote: working" in seen
    assert declining.raw.read_bytes().startswith(b"000eversion 1\n") == (version == 1)


@pytest.mark.parametrize("atomic", [(), ("--atomic",)])
def test_every_ref_has_the_reason(declining, atomic):
    seen = declining.push(*atomic, "master", "master:other", reason=REASON)
    for branch in ("master", "other"):
        assert f" ! [remote rejected] master -> {branch} ({REASON})\n" in seen
    raw = declining.raw.read_bytes()
    out = filtered(raw, REASON)
    assert band(out, 2) == band(raw, 2)
    assert list(packets(band(out, 1))) == [
        pkt(b"unpack ok\n"),
        pkt(f"ng refs/heads/master {REASON}\n".encode()),
        pkt(f"ng refs/heads/other {REASON}\n".encode()),
        b"0000",
    ]
    for chunk in (1, 2, 3, 5, 100):
        assert filtered(raw, REASON, chunk) == out


def test_a_reason_in_other_letters_and_lines(declining):
    seen = declining.push("master", reason="Größe:\n\t日本 \x1b[31mrot")
    assert " ! [remote rejected] master -> master (Größe: 日本 \ufffd[31mrot)\n" in seen


def test_without_a_reason_nothing_changes(declining):
    assert "(pre-receive hook declined)" in declining.push("master", chunk=7)
    raw = declining.raw.read_bytes()
    assert filtered(raw) == raw


def test_a_push_that_is_taken_passes_byte_for_byte_and_at_once(remote):
    remote.hook("post-receive", "echo activating >&2")
    seen = remote.push("master", "master:other", reason=REASON, chunk=1)
    assert "[new branch]" in seen and "activating" in seen and "rejected" not in seen
    raw = remote.raw.read_bytes()
    assert filtered(raw, REASON) == raw
    before = raw.index(b"activating") - 5  # the report comes first: it may not wait for what post-receive does
    report = ReportFilter()
    assert report.feed(raw[:before]) == raw[:before]
    assert remote.push("master") == "Everything up-to-date\n"
    nothing = remote.raw.read_bytes()
    assert nothing.endswith(b"0000") and filtered(nothing, REASON) == nothing


def test_only_the_words_of_a_hook_are_changed(remote):
    remote.hook("update", '[ "$1" != refs/heads/other ]')
    seen = remote.push("master", "master:other", reason=REASON)
    assert "master -> other (hook declined)" in seen
    assert "[new branch]      master -> master" in seen


def test_a_pack_that_is_too_large(remote):
    remote.git(remote.path, "config", "receive.maxInputSize", "10")
    seen = remote.push("master", chunk=1)
    assert " ! [remote rejected] master -> master (pack exceeds maximum allowed size (10 bytes))\n" in seen
    assert "remote: fatal: pack exceeds maximum allowed size" in seen
    assert filtered(remote.raw.read_bytes(), REASON) == filtered(remote.raw.read_bytes())


def test_a_pack_that_git_does_not_like(remote):
    remote.git(remote.path, "config", "receive.fsckObjects", "true")
    blob = remote.git(remote.work, "rev-parse", "master:file").strip()
    raw = b"100644 .git\0" + bytes.fromhex(blob)
    (remote.work / "tree").write_bytes(raw)
    tree = remote.git(remote.work, "hash-object", "-t", "tree", "-w", "--literally", "tree").strip()
    commit = remote.git(remote.work, "commit-tree", "-m", "bad", tree).strip()
    seen = remote.push(f"{commit}:refs/heads/master")
    assert f"(fsck error in packed object: object {tree}: hasDotgit: contains '.git')\n" in seen


def test_a_client_without_bands_gets_what_git_says(declining):
    declining.hook("pre-receive", "exit 0")
    declining.push("master")
    declining.hook("pre-receive", "exit 1")
    old = declining.git(declining.work, "rev-parse", "master").strip()
    command = pkt(f"{old} {'0' * 40} refs/heads/master\0report-status delete-refs".encode()) + b"0000"
    done = subprocess.run(
        ["git", "receive-pack", str(declining.path)],
        input=command,
        capture_output=True,
        timeout=60,
        env=declining.environ,
        check=False,
    )
    assert pkt(b"ng refs/heads/master pre-receive hook declined\n") in done.stdout
    for chunk in (1, 1 << 20):
        assert filtered(done.stdout, REASON, chunk) == done.stdout


# From here on without git: what git does too rarely to wait for it.

ADVERTISEMENT = pkt(b"0" * 40 + b" capabilities^{}\0report-status side-band-64k") + b"0000"
UNPACKED = pkt(b"unpack ok\n")
DECLINED = pkt(b"ng refs/heads/master pre-receive hook declined\n")


def on_band(number: int, data: bytes) -> bytes:
    return pkt(bytes([number]) + data)


def test_what_is_cut_off_passes_as_it_is():
    whole = ADVERTISEMENT + on_band(2, b"hello\n") + on_band(1, UNPACKED + DECLINED + b"0000")
    for length in range(len(whole)):
        for chunk in (1, 13, 1 << 20):
            assert filtered(whole[:length], REASON, chunk) == whole[:length]
    assert filtered(whole, REASON) != whole
    assert filtered(whole + b"0000", REASON) == filtered(whole, REASON) + b"0000"


def test_a_report_in_pieces():
    report = UNPACKED + DECLINED + b"0000"
    expected = UNPACKED + pkt(f"ng refs/heads/master {REASON}\n".encode()) + b"0000"
    rng = random.Random(5)
    for _ in range(200):
        cuts = sorted(rng.choices(range(len(report) + 1), k=rng.randint(0, 6)))
        pieces = [report[a:b] for a, b in zip([0, *cuts], [*cuts, len(report)], strict=True)]
        data = ADVERTISEMENT + b"".join(on_band(2, b"progress\r") + on_band(1, piece) for piece in pieces) + b"0000"
        for chunk in (1, 11, 1 << 20):
            out = filtered(data, REASON, chunk)
            assert band(out, 1) == expected
            assert band(out, 2) == band(data, 2)
            assert out.endswith(b"0000")


def test_nothing_but_the_report_waits():
    report = ReportFilter()
    report.refuse(REASON)
    for packet in (ADVERTISEMENT, on_band(1, b""), on_band(2, b"half a li"), on_band(2, b""), on_band(1, b"")):
        assert report.feed(packet) == packet
    assert report.feed(on_band(1, UNPACKED)) == b""
    assert report.feed(on_band(1, b"")) == on_band(1, b"")
    assert report.feed(on_band(2, b"ne\n")) == on_band(2, b"ne\n")
    explained = report.feed(on_band(1, DECLINED + b"0000and more"))
    assert explained == on_band(1, UNPACKED + pkt(f"ng refs/heads/master {REASON}\n".encode()) + b"0000and more")
    for packet in (on_band(1, DECLINED), b"anything", b"0000"):
        assert report.feed(packet) == packet
    assert report.close() == b""


def test_the_reason_may_come_while_git_is_at_work():
    report = ReportFilter()
    report.feed(ADVERTISEMENT + on_band(2, b"hook\n"))
    report.refuse("first")
    report.refuse("second")
    assert b"ng refs/heads/master second\n" in report.feed(on_band(1, UNPACKED + DECLINED + b"0000"))


def test_a_report_that_grows_over_one_packet():
    refs = [f"refs/heads/branch-{number:04}" for number in range(900)]
    report = UNPACKED + b"".join(pkt(f"ng {ref} pre-receive hook declined\n".encode()) for ref in refs) + b"0000"
    assert len(report) < MAX_BAND
    out = filtered(ADVERTISEMENT + on_band(1, report) + b"0000", "x" * 200)
    sizes = [len(packet) for packet in packets(out[len(ADVERTISEMENT) :])]
    assert max(sizes) == 65520 and len(sizes) > 3
    assert list(packets(band(out, 1)))[1:-1] == [pkt(f"ng {ref} {'x' * 200}\n".encode()) for ref in refs]


def test_the_last_thing_that_git_said_explains_the_unpacker():
    failed = on_band(
        1, pkt(b"unpack index-pack abnormal exit\n") + pkt(b"ng refs/heads/master unpacker error\n") + b"0000"
    )
    for said, reason in {
        b"fatal: first\nfatal: second\n": b"second",
        b"error: first\nReceiving: 10%\rReceiving: 100%\rfatal: early EOF": b"early EOF: first",
        b"error: only\n": b"only",
        b"warning: fatal: no\nfatality: no\n": b"unpacker error",
    }.items():
        for cut in range(len(said)):
            data = ADVERTISEMENT + on_band(2, said[:cut]) + on_band(2, said[cut:]) + failed
            assert pkt(b"ng refs/heads/master " + reason + b"\n") in filtered(data, REASON)


def test_what_is_no_protocol_passes_as_it_is():
    rng = random.Random(11)
    fine = ADVERTISEMENT + on_band(2, b"x") + on_band(1, UNPACKED)
    for _ in range(500):
        junk = (
            rng.randbytes(rng.randint(0, 40))
            if rng.random() < 0.5
            else rng.choice((b"0001", b"0003", b"-001", b"zzzz", b"ffff", b"0004"))
        )
        data = rng.choice((b"", ADVERTISEMENT, fine)) + junk + rng.randbytes(rng.randint(0, 20))
        assert filtered(data, REASON, rng.choice((1, 3, 1000))) == data


def test_one_line():
    assert one_line("  a\n\tb\r\n c ") == "a b c"
    assert one_line("a\x1b[0m\x00") == "a\ufffd[0m\ufffd"
    assert one_line("x" * 200) == "x" * 200
    for letter in ("x", "é", "日", "😀"):
        cut = one_line(letter * 300)
        assert cut.endswith(letter + "…") and 195 <= len(cut.encode()) <= 200
    assert one_line("") == one_line(" \n ") == ""


SHALLOW = pkt(b"shallow " + b"1" * 40 + b"\n")
COMMAND = b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/master"


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        (
            pkt(COMMAND + b"\0 report-status quiet agent=git/2") + b"0000PACK",
            {b"report-status", b"quiet", b"agent=git/2"},
        ),
        (pkt(b"shallow " + b"1" * 40) + pkt(COMMAND + b"\0 quiet"), {b"quiet"}),
        (b"0000", set()),
        (b"", None),
        (pkt(COMMAND + b"\0 quiet")[:-1], None),
        (SHALLOW * 1200 + pkt(COMMAND + b"\0 quiet"), {b"quiet"}),
        (SHALLOW * 1300, set()),
        (pkt(COMMAND + b"\0 quiet" + b" x" * 32000), {b"quiet", b"x"}),
        (b"no pkt-line" * MAX_ASKED, set()),
    ],
)
def test_what_a_client_asks_for(sent, asked):
    assert capabilities(sent) == asked
