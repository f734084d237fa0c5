"""The application that the benchmark pushes: thousands of vendored files, and an import that takes its time, as real ones have."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILES = 6000
LOADED = ("jinja2", "requests", "pygments.lexers.python", "libcloud.compute.drivers.ec2")
NEEDED = (
    "certifi",
    "charset_normalizer",
    "idna",
    "jinja2",
    "libcloud",
    "markupsafe",
    "pygments",
    "requests",
    "urllib3",
)
APP_YAML = "name: bench\nplatform: python, wsgi\npaths: vendor/\napp: bench:application\n"
CODE = f"""import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor"))

import version
import {", ".join(LOADED)}


def application(environ, start_response):
    body = version.VERSION.encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "text/plain")])
    return [body]
"""
WHO = {"GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@localhost"}
ENVIRON = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **WHO,
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
}
"""The whole environment of every git here: no settings of the person who runs the benchmark."""


def pure_files(site: Path) -> Iterator[Path]:
    """The files of installed packages that are no machine code and no caches, those of the packages that are loaded first."""
    names = [path.name for path in site.iterdir() if path.is_dir() and path.name.isidentifier() and path.name[0] != "_"]
    for name in sorted(names, key=lambda name: (name not in NEEDED, name)):
        for directory, below, files in os.walk(site / name):
            below[:] = sorted(set(below) - {"__pycache__"})
            yield from (Path(directory, file) for file in sorted(files) if not file.endswith((".pyc", ".so")))


def vendor(into: Path, most: int) -> None:
    """Copy `most` files of installed packages into a directory; where there are fewer, a second time beside themselves."""
    spec = importlib.util.find_spec("libcloud")
    assert spec is not None and spec.origin is not None, "gitdeploy is not installed in this Python"
    site = Path(spec.origin).parents[1]
    there = list(pure_files(site))
    for number in range(most):
        again, place = divmod(number, len(there))
        target = into / (f"again_{again}" if again else "") / there[place].relative_to(site)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(there[place], target)


@dataclass(frozen=True)
class Project:
    """A developer's repository of the application. `path` is made by `make`."""

    path: Path

    def git(self, *args: str) -> str:
        """Run git in it; returns what it wrote."""
        argv = ("git", "-C", str(self.path), *args)
        done = subprocess.run(argv, env=ENVIRON, capture_output=True, text=True, timeout=300, check=True)
        return done.stdout.strip()

    def make(self, files: int = FILES) -> str:
        """Make the repository with one commit of `files` files; returns the commit. Packed, as after a clone."""
        vendor(self.path / "vendor", files - 3)
        (self.path / "app.yaml").write_text(APP_YAML)
        (self.path / "bench.py").write_text(CODE)
        self.git("init", "--quiet", "--initial-branch=master")
        self.git("config", "core.bigFileThreshold", "10m")  # else git looks for deltas between two large random files
        commit = self.change("v0")
        self.git("repack", "-adq")
        return commit

    def change(self, version: str) -> str:
        """Commit a change of one file; the application answers with `version` from then on. Returns the commit."""
        (self.path / "version.py").write_text(f'VERSION = "{version}"\n')
        return self.commit(version)

    def blob(self, size: int, version: str) -> str:
        """Commit a file of `size` random bytes; returns the commit. Packed, so that the pusher has nothing to compress."""
        with (self.path / "blob").open("wb") as file:
            for _ in range(size // 1_000_000):
                file.write(os.urandom(1_000_000))
        commit = self.change(version)
        self.git("repack", "-adq")
        return commit

    def commit(self, message: str) -> str:
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", f"--message={message}")
        return self.git("rev-parse", "HEAD")
