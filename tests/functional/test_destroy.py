"""The end of an app: confirmed, announced to it, with a backup that stays; and a new beginning under the same name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .session import PYTHON, Server, eventually, hello

BYE = """\
import os
def bye():
    print("goodbye from", os.environ["APP_RELEASE"])
    if os.path.exists("{stay}"):
        raise RuntimeError("not yet")
"""
YAML = PYTHON + "services: files\nbefore_delete: life:bye\n"


def test_an_app_is_deleted_and_begins_anew(server: Server, tmp_path: Path) -> None:
    app, stay = server.app("mortal"), tmp_path / "stay"
    app.commit("First page", {**hello("one"), "app.yaml": YAML, "life.py": BYE.format(stay=stay)})
    server.ssh("config:set", "mortal", "A=1").ok()
    app.push().ok()
    app.push("staging", "master").ok()
    node = server.home / "node"
    (node / "var/lib/apps/mortal/files/note").write_text("remember me")
    assert "if it is to be, write once more" in server.ssh("destroy", "mortal").err
    stay.touch()
    refused = server.ssh("destroy", "--confirm", "mortal", "mortal")
    assert refused.status == 1
    assert "before_delete: life:bye ended with exit code 1" in refused.text
    assert app.says() == "one"
    stay.unlink()
    said = server.ssh("destroy", "--confirm", "mortal", "mortal").ok()
    assert "embedded: goodbye from v1" in said.out
    assert "files kept as" in said.out
    assert said.out.endswith("mortal is no more\n")
    assert app.get().status == 404
    assert app.get(environment="staging").text == "one"
    assert app.live() == ""
    assert not (node / "srv/apps/mortal").exists()
    eventually(
        "its processes are gone", lambda: not any("apps/mortal/" in line for line in server.processes().values())
    )
    assert "has no config vars" in server.ssh("config", "mortal").ok().out
    for command in ("backups", "redeploy"):
        gone = server.ssh(command, "mortal")
        assert gone.status == 3
        assert gone.err.strip().endswith(
            "mortal was destroyed in production; push it there, and `backups production/mortal` has its data, for: restore --kept"
        )
    server.ssh("destroy", "--confirm", "staging/mortal", "staging/mortal").ok()
    assert "mortal" not in server.ssh("apps").ok().out
    app.push().ok()
    assert app.says() == "one"
    assert server.ssh("releases", "mortal").ok().out.splitlines()[1].startswith("v1 ")
    assert not (node / "var/lib/apps/mortal/files/note").exists()
    kept = server.ssh("backups", "mortal").ok().out.splitlines()[1].split()[0]
    server.ssh("restore", "--kept", kept, "--confirm", "mortal", "mortal").ok()
    assert (node / "var/lib/apps/mortal/files/note").read_text() == "remember me"


def test_an_app_that_kept_nothing_leaves_no_backup_to_be_told_of(server: Server) -> None:
    app = server.app("brief")
    app.commit("First page", hello("one"))
    app.push().ok()
    server.ssh("destroy", "--confirm", "brief", "brief").ok()
    gone = server.ssh("redeploy", "brief")
    assert gone.status == 3
    assert gone.err.strip().endswith("brief was destroyed in production; push it there first")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, so that something cannot be deleted")
def test_one_that_was_interrupted_is_repeated_and_takes_what_earlier_releases_kept(
    server: Server, tmp_path: Path
) -> None:
    app, stay = server.app("lasting"), tmp_path / "stay"
    files = {**hello("one"), "app.yaml": YAML, "life.py": BYE.format(stay=stay)}
    app.commit("Keep files", {**files, "app.yaml": YAML.replace("services: files", "services: files, public_files")})
    app.push().ok()
    state, home = server.home / "node/var/lib/apps/lasting", server.home / "node/srv/apps/lasting"
    (state / "public_files/note").write_text("of an earlier release")
    app.commit("Keep fewer", files)
    app.push().ok()
    busy = next((home / "versions").glob("[0-9a-f]*"))
    subprocess.run(("mount", "--bind", busy, busy), check=True)
    try:
        failed = server.ssh("destroy", "--confirm", "lasting", "lasting")
    finally:
        subprocess.run(("umount", busy), check=True)
    assert failed.status == 1 and "busy" in failed.text, failed.text
    assert "files, public_files kept as" in failed.out
    assert not (state / "files").exists() and not (state / "public_files").exists()
    said = server.ssh("destroy", "--confirm", "lasting", "lasting").ok()
    assert "goodbye" not in said.out and said.out.endswith("lasting is no more\n")
    assert not home.exists() and not state.exists()
    assert "`backups production/lasting` has its data" in server.ssh("redeploy", "lasting").err
    app.push().ok()
    assert len(server.ssh("backups", "lasting").ok().out.splitlines()) == 2
