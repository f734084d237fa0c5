"""What machines are set up with: modes do not depend on how gitdeploy was installed, and any change is another version."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from gitdeploy.nodes import kit
from gitdeploy.nodes.fleet import Machine
from gitdeploy.nodes.kit import File, Kit
from gitdeploy.outfit import read_kit

WEB1 = Machine("web1", "192.0.2.1")
KIT = Kit(b"the script", (File("etc/a", 0o644, b"a"), File("usr/lib/gitdeploy/buildless/web.py", 0o644, b"b")))


def test_it_is_read_from_two_directories_without_what_python_makes(tmp_path: Path) -> None:
    files = {
        "node-setup/setup-node": "the script",
        "node-setup/README.rst": "for people",
        "node-setup/root/etc/sudoers.d/gitdeploy": "rule",
        "node-setup/root/usr/lib/gitdeploy/node": "#!/usr/bin/python3",
        "buildless/web.py": "#! no program all the same",
        "buildless/node/templates/site": "template",
        "buildless/node/__pycache__/verbs.pyc": "no",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert kit.read(tmp_path / "node-setup", tmp_path / "buildless", {"usr/share/page": "rendered"}) == Kit(
        b"the script",
        (
            File("etc/sudoers.d/gitdeploy", 0o440, b"rule"),
            File("usr/lib/gitdeploy/buildless/node/templates/site", 0o644, b"template"),
            File("usr/lib/gitdeploy/buildless/web.py", 0o644, b"#! no program all the same"),
            File("usr/lib/gitdeploy/node", 0o755, b"#!/usr/bin/python3"),
            File("usr/share/page", 0o644, b"rendered"),
        ),
    )


def test_a_machine_gets_files_of_its_own_and_the_list_of_those_that_are_laid() -> None:
    outfit = KIT.outfit(WEB1, {"etc/b": "b"})
    assert outfit.role == "apps"
    assert outfit.files == (
        File("etc/a", 0o644, b"a"),
        File("etc/b", 0o644, b"b"),
        File("etc/gitdeploy/files", 0o644, b"etc/a\netc/b\n"),
        File("usr/lib/gitdeploy/buildless/web.py", 0o644, b"b"),
    )


def test_a_change_of_anything_is_another_version() -> None:
    same, *others = [
        KIT.outfit(WEB1, {}),
        KIT.outfit(WEB1, {"etc/b": ""}),
        KIT.outfit(dataclasses.replace(WEB1, roles=("balancer",)), {}),
        Kit(b"another script", KIT.files).outfit(WEB1, {}),
        Kit(KIT.script, (File("etc/a", 0o755, b"a"), KIT.files[1])).outfit(WEB1, {}),
        Kit(KIT.script, (File("etc/a", 0o644, b"b"), KIT.files[1])).outfit(WEB1, {}),
    ]
    assert KIT.outfit(dataclasses.replace(WEB1, address="192.0.2.2"), {}).version == same.version
    assert len({same.version, *(other.version for other in others)}) == 6
    assert len(same.version) == 12


@pytest.mark.parametrize(
    "name",
    ["etc/sudoers.d/gitdeploy", "etc/nginx/nginx.conf", "usr/lib/gitdeploy/reload-haproxy", kit.PACKAGE + "/web.py"],
)
def test_ours_has(name: str) -> None:
    assert name in [file.path for file in read_kit().files]


def test_the_script_is_sh() -> None:
    subprocess.run(["sh", "-n"], input=read_kit().script, check=True)
