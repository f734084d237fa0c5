"""Which server a remote is, how it is asked, and which words are files that it does not have."""

import io
import os
import tarfile

import pytest

from gitdeploy.develop.call import DevelopCall
from gitdeploy.develop.remote import Remote, Way, pack, taken_out
from gitdeploy.errors import Refused


@pytest.mark.parametrize(
    ("address", "login", "port", "app"),
    [
        ("ssh://deploy@example.com:2222/staging/shop.git", "deploy@example.com", 2222, "staging/shop.git"),
        ("ssh://example.com/shop/", "example.com", None, "shop"),
        ("ssh://deploy@[::1]:22/shop", "deploy@::1", 22, "shop"),
        ("deploy@example.com:staging/shop", "deploy@example.com", None, "staging/shop"),
        ("deploy@example.com:/shop", "deploy@example.com", None, "shop"),
    ],
)
def test_an_address_as_git_takes_it(address, login, port, app):
    assert Remote.read(address) == Remote(login, port, app)


@pytest.mark.parametrize(
    "address",
    ["https://example.com/shop", "/srv/shop.git", "../shop", "ssh://example.com", "ssh:///shop", "ssh://h:x/shop", ""],
)
def test_an_address_of_no_server(address):
    with pytest.raises(Refused, match="is no address of a server"):
        Remote.read(address)


def test_the_words_are_quoted_once(tmp_path):
    call = DevelopCall(None, None, {}, tmp_path, None)
    command = Way(call, ("ssh", "-F", "x"), Remote("deploy@h", 2222, "shop")).command("run", "shop", "a b", "$x", "")
    assert command.argv == ("ssh", "-F", "x", "-p", "2222", "-T", "--", "deploy@h", "run shop 'a b' '$x' ''")
    assert Way(call, ("ssh",), Remote("h", None, "shop")).command("shell", terminal=True).argv[1:3] == ("-t", "--")


def test_which_words_are_files(tmp_path):
    for name in ("bin/import", "a.csv", "kept.csv", "--in=a.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("a.csv")
    kept = [
        "bin/import",
        "kept.csv",
        "bin",
        ".",
        "pipe",
        "none.csv",
        "",
        "--in=",
        "--in=none",
        "=",
        "--in=kept.csv",
        "x" * 5000,
    ]
    words, files = taken_out(kept, {"kept.csv"}, tmp_path)
    assert words == kept and files == {}
    sent = [
        "bin/import",
        "a.csv",
        "./kept.csv",
        "--out=link",
        "if=a.csv",
        "--in=a.csv",
        str(tmp_path / "a.csv"),
        "-a=b=a.csv",
    ]
    words, files = taken_out(sent, {"kept.csv"}, tmp_path)
    assert words == ["bin/import", "", "", "--out=", "if=", "", "", "-a=b=a.csv"]
    assert {number: os.path.basename(path) for number, path in files.items()} == {
        1: "a.csv", 2: "kept.csv", 3: "link", 4: "a.csv", 5: "--in=a.csv", 6: "a.csv",
    }  # fmt: skip


def test_what_is_packed(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\0\xff" * 1000)
    (tmp_path / "a.csv").chmod(0o555)
    os.link(tmp_path / "a.csv", tmp_path / "b.csv")
    (tmp_path / "link").symlink_to("a.csv")
    with (tmp_path / "tar").open("wb") as file:
        pack({1: str(tmp_path / "a.csv"), 3: str(tmp_path / "b.csv"), 4: str(tmp_path / "link")}, os.dup(file.fileno()))
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "tar").read_bytes())) as tar:
        found = [(one.name, one.isreg(), one.size, oct(one.mode), one.uid, one.uname) for one in tar]
    assert found == [(name, True, 2000, "0o755", 0, "") for name in ("1/a.csv", "3/b.csv", "4/link")]
