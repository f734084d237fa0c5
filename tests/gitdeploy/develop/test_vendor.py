"""Libraries in the tree, from wheels that the tests make: put there, replaced, made again."""

import base64
import hashlib
import subprocess
import sys
import zipfile

import pytest

HAS_PIP = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0
pytestmark = pytest.mark.skipif(not HAS_PIP, reason="this Python has no pip")


class Index:
    """A directory of wheels, which is all that pip finds."""

    def __init__(self, top):
        self.top = top
        top.mkdir()

    def wheel(self, name, version, files, needs=(), tag="py3-none-any"):
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files = {
            **files,
            f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {one}\n" for one in needs),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        rows = []
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(text)}\n")
        path = self.top / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for inside, text in files.items():
                archive.writestr(inside, text)
            archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
        return path


@pytest.fixture
def index(tmp_path):
    made = Index(tmp_path / "links")
    scripts = {"greeting-1.0.dist-info/entry_points.txt": "[console_scripts]\ngreet = greeting:main\n"}
    made.wheel(
        "greeting", "1.0", {"greeting/__init__.py": "OLD = 1\n", "greeting/old/x.py": "", **scripts}, ["tone>=1"]
    )
    made.wheel("tone", "1.0", {"tone.py": "LEVEL = 1\n"})
    return made


@pytest.fixture
def shop(tmp_path, files):
    files({"app.yaml": "platform: python, wsgi\napp: hello:application\n"}, "shop")
    return tmp_path / "shop" / "lib" / "python"


@pytest.fixture
def vendor(gitdeploy, index, shop, files, tmp_path):
    """`gitdeploy vendor` in the application, where apt knows python3-fast and python3-yaml."""
    files({"tools/apt-cache": '#!/bin/sh\ncase "$2" in python3-fast|python3-yaml) echo "$2";; esac\n'})
    (tmp_path / "tools" / "apt-cache").chmod(0o755)
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index.top), "PIP_CONFIG_FILE": "/dev/null"}
    path = f"{tmp_path / 'tools'}:/usr/bin:/bin"
    return lambda *argv, **how: gitdeploy("vendor", *argv, cwd="shop", PATH=path, **pip, **how)


def tree(top):
    return sorted(
        str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and ".dist-info" not in str(path)
    )


def test_packages_and_what_they_need_are_put_into_the_tree_and_recorded(vendor, shop, index, call, tmp_path):
    said = vendor("greeting==1.0")
    assert "lib/python has 2 packages, as vendored.txt says" in said and "write `paths: lib/python`" in said
    assert tree(shop) == ["greeting/__init__.py", "greeting/old/x.py", "tone.py", "vendored.txt"]
    digest = hashlib.sha256((index.top / "tone-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    assert f"tone==1.0 \\\n    --hash=sha256:{digest}\n" in (shop / "vendored.txt").read_text()
    assert not any(str(tmp_path) in path.read_text() for path in shop.rglob("*") if path.is_file())
    assert "../bin" not in (shop / "greeting-1.0.dist-info" / "RECORD").read_text()
    assert call(sys.executable, "-B", "-c", "import greeting, tone; print(tone.LEVEL)", PYTHONPATH=str(shop)) == "1\n"


def test_a_newer_version_replaces_the_older_one(vendor, shop, index):
    vendor("greeting")
    (shop / "greeting" / "old" / "__pycache__").mkdir()
    (shop / "greeting" / "old" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    index.wheel("greeting", "2.0", {"greeting/__init__.py": "NEW = 1\n"}, ["tone>=1"])
    index.wheel("tone", "2.0", {"tone.py": "LEVEL = 2\n"})
    assert "greeting 2.0 instead of 1.0\n" in vendor("greeting")
    assert tree(shop) == ["greeting/__init__.py", "tone.py", "vendored.txt"]
    assert not (shop / "greeting" / "old").exists() and not (shop / "greeting-1.0.dist-info").exists()
    assert (shop / "tone.py").read_text() == "LEVEL = 1\n", "what was not asked for stays"
    index.wheel("greeting", "3.0", {"greeting/__init__.py": "NEW = 3\n"}, ["tone>=2"])
    vendor("greeting")
    assert (shop / "tone.py").read_text() == "LEVEL = 2\n", "unless it has to go"
    assert "greeting==3.0" in (shop / "vendored.txt").read_text()


def test_without_packages_it_is_made_again_as_recorded(vendor, shop, index):
    vendor("greeting")
    index.wheel("tone", "2.0", {"tone.py": "LEVEL = 2\n"})
    before = {path: (shop / path).read_bytes() for path in tree(shop)}
    (shop / "tone.py").write_text("broken")
    (shop / "greeting" / "old" / "x.py").unlink()
    said = vendor()
    assert "tone 1.0\n" in said and "greeting 1.0\n" in said
    assert {path: (shop / path).read_bytes() for path in tree(shop)} == before
    index.wheel("tone", "1.0", {"tone.py": "evil\n"})
    assert vendor().startswith("lib/python has 2 packages"), "nothing is fetched that is there"
    (shop / "tone.py").unlink()
    assert "HASH" in vendor(status=1).upper() and not (shop / "tone.py").exists()


def test_what_is_compiled_is_a_debian_package(vendor, shop, index):
    index.wheel("fast", "1.0", {"fast.py": "", "_fast.so": ""})
    index.wheel("PyYAML", "6.0", {"yaml/_yaml.so": ""})
    index.wheel("nowhere", "1.0", {"nowhere.so": ""})
    index.wheel("user", "1.0", {"user1.py": ""}, ["fast", "PyYAML"])
    index.wheel("loser", "1.0", {"loser.py": ""}, ["nowhere"])
    said = vendor("user")
    assert "fast 1.0 is compiled and left out; write into app.yaml: `deb: python3-fast`" in said
    assert "`deb: python3-yaml`" in said and tree(shop) == ["user1.py", "vendored.txt"]
    assert "nothing was changed" in vendor("fast", status=1)
    assert "Debian has no python3-nowhere that apt or dpkg here knows" in vendor("loser", status=1)
    assert tree(shop) == ["user1.py", "vendored.txt"]


def test_what_deb_names_already_is_looked_at(vendor, shop, index, files):
    index.wheel("PyYAML", "6.0", {"yaml/_yaml.so": ""})
    index.wheel("user", "1.0", {"user1.py": ""}, ["PyYAML"])
    yaml = "platform: python, wsgi\napp: hello:application\npaths: lib/python\ndeb: [%s]\n"
    files({"app.yaml": yaml % "python3-tone"}, "shop")
    said = vendor("user", "tone")
    assert "left out; add python3-yaml to deb in app.yaml\n" in said
    assert "app.yaml names python3-tone in deb, too; take it out there, as it is in the tree now\n" in said
    files({"app.yaml": yaml % "python3-yaml"}, "shop")
    said = vendor("user")
    assert "left out; app.yaml names python3-yaml in deb already\n" in said and "take it out" not in said


def test_a_pure_wheel_is_taken_where_there_is_one_beside_a_compiled_one(vendor, shop, index):
    index.wheel("both", "1.0", {"both.py": "FAST = 1\n"}, tag=f"cp3{9}-abi3-linux_x86_64")
    index.wheel("both", "1.0", {"both.py": "FAST = 0\n"})
    vendor("both")
    assert (shop / "both.py").read_text() == "FAST = 0\n"
    (shop / "both.py").unlink()
    vendor()
    assert (shop / "both.py").read_text() == "FAST = 0\n"


def test_what_somebody_wrote_is_not_overwritten(vendor, shop, files):
    files({"lib/python/tone.py": "mine"}, "shop")
    assert "lib/python/tone.py is there and not tone's; nothing was changed" in vendor("greeting", status=1)
    assert tree(shop) == ["tone.py"]
    assert "2 packages" in vendor("greeting", "--into", "vendor")


def test_what_is_refused(vendor, shop, files):
    assert "names no package to fetch again" in vendor(status=1)
    for package in ("./x.whl", "git+https://example.com/x.git", "x @ file:///x", "", "https://example.com/x.whl"):
        assert "is no package" in vendor(package, status=2)
    assert "usage: vendor" in vendor("--target=/etc", status=2)
    assert "No matching distribution found for nothing-such" in vendor("nothing-such", status=1)
    files({"lib/python/vendored.txt": "-e .\n"}, "shop")
    assert "vendored.txt:1: write NAME==VERSION" in vendor("greeting", status=1)
