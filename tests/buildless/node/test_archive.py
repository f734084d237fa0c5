import io
import json
import subprocess
import tarfile

import pytest

from buildless.errors import NodeError
from buildless.node.archive import Backup, write

ABOUT = {"app": "shop", "environment": "production", "time": 1_795_000_000}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shop.backup"
    with path.open("wb") as file:
        parts = {"files": b"tar" * 1000, "postgresql": b"", "redis": b"x" * 512}
        manifest = write(
            file, ABOUT, [(name, lambda out, data=data: out.write(data) and None) for name, data in parts.items()]
        )
    assert [(one["service"], one["size"]) for one in manifest["services"]] == [
        ("files", 3000),
        ("postgresql", 0),
        ("redis", 512),
    ]
    return path


def test_what_was_written_is_read(path):
    with Backup(path) as backup:
        assert backup.services == ["files", "postgresql", "redis"]
        assert backup.open("files").read() == b"tar" * 1000
        assert backup.manifest["app"] == "shop"
    with tarfile.open(path) as tar:  # any tar can look into it
        assert tar.getnames() == ["files", "postgresql", "redis", "manifest.json"]
        assert json.loads(tar.extractfile("manifest.json").read())["services"][1] == {
            "service": "postgresql",
            "size": 0,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        }


def test_every_place_of_it_counts(path):
    """One bit anywhere but in what tar itself does not look at, and it is refused."""
    data = path.read_bytes()
    for at in [0, 600, 3000, 4096 + 700, len(data) - 1100]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(NodeError):
            Backup(path)


@pytest.mark.parametrize("size", [0, 1, 512, 1000, 3500, 4000])
def test_what_is_cut_short_is_refused(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(NodeError):
        Backup(path)


def made(path, members, manifest):
    with tarfile.open(path, "w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        text = json.dumps(manifest).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        {},
        {"format": 2, "services": []},
        {"format": 1},
        {"format": 1, "services": [1]},
        {"format": 1, "services": [{}]},
    ],
)
def test_a_manifest_that_is_none(tmp_path, manifest):
    made(tmp_path / "b", [], manifest)
    with pytest.raises(NodeError):
        Backup(tmp_path / "b")


def test_links_and_what_the_manifest_does_not_name(tmp_path):
    link = tarfile.TarInfo("files")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    made(tmp_path / "b", [(link, b"")], {"format": 1, "services": []})
    with pytest.raises(NodeError):
        Backup(tmp_path / "b")
    made(tmp_path / "b", [(tarfile.TarInfo("more"), b"x")], {"format": 1, "services": []})
    with pytest.raises(NodeError, match="more"):
        Backup(tmp_path / "b")


def test_one_with_holes_is_refused_and_not_read(tmp_path):
    """tar says of a sparse file what it has in place of nothing: here a terabyte."""
    room = tmp_path / "room"
    room.mkdir()
    with (room / "files").open("wb") as file:
        file.truncate(1 << 40)
    (room / "manifest.json").write_text(json.dumps({"format": 1, **ABOUT, "services": []}))
    for kind in ("gnu", "posix"):
        argv = (
            "tar",
            "--create",
            "--sparse",
            f"--format={kind}",
            f"--file={tmp_path}/holes",
            "files",
            "manifest.json",
        )
        subprocess.run(argv, cwd=room, check=True, timeout=60)
        with pytest.raises(NodeError, match="it has holes"):
            Backup(tmp_path / "holes")
