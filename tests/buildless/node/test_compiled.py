"""Compiled modules of what is installed, for a new app."""

import subprocess
import sys

from buildless.node.compiled import link_installed

ASK = "import sys; sys.path.insert(0, sys.argv[1]); import package.module as m; print(m.__cached__)"


def run(top, prefix):
    argv = [sys.executable, "-I", "-X", f"pycache_prefix={prefix}", "-c", ASK, str(top)]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30, check=True).stdout.strip()


def test_python_takes_what_is_compiled_beside_the_source_and_replaces_it_when_that_changes(tmp_path):
    top, prefix = tmp_path / "installed", tmp_path / "prefix"
    (top / "package").mkdir(parents=True)
    (top / "package" / "__init__.py").touch()
    (top / "package" / "module.py").write_text("x = 1\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(top)], timeout=30, check=True)
    prefix.mkdir()
    link_installed(prefix, [str(top)])
    [found] = prefix.rglob("module.*.pyc")
    original = found.resolve()
    assert original.parent == top / "package" / "__pycache__"
    before = original.read_bytes()
    assert run(top, prefix) == str(found) and found.is_symlink()
    (top / "package" / "module.py").write_text("changed = 1\n")
    assert run(top, prefix) == str(found) and not found.is_symlink()
    assert original.read_bytes() == before
