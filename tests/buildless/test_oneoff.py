"""Commands and jobs of a release, as systemd starts them: real processes."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
YAML = "platform: static\ncron:\n  import: '@daily bin/import.sh'\n"
WAIT = """\
#!/bin/sh
echo "$APP_RELEASE" >> {log}
until [ -e {gate} ]; do sleep 0.05; done
"""


@pytest.fixture
def job(tmp_path):
    """``job("v2")`` starts the job `import` of a release, and writes into `log` that it is there until `gate` is."""
    (tmp_path / "logs").mkdir()
    running = []

    def start(release):
        top = tmp_path / release
        (top / "tree" / "bin").mkdir(parents=True)
        (top / "tree" / "app.yaml").write_text(YAML)
        script = top / "tree" / "bin" / "import.sh"
        script.write_text(WAIT.format(log=tmp_path / "log", gate=tmp_path / "gate"))
        own = {"APP_LOGS": str(tmp_path / "logs"), "PYTHONPYCACHEPREFIX": str(tmp_path / "pycache")}
        environ = {"PATH": os.defpath, "APP_RELEASE": release, **own}
        (top / "settings").write_text(json.dumps({"environ": environ}))
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from buildless.oneoff import job; job()"
        argv = [sys.executable, "-I", "-c", code, str(top), "import"]
        running.append(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return running[-1]

    yield start
    (tmp_path / "gate").touch()
    for one in running:
        one.communicate(timeout=30)


def began(tmp_path, times):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        lines = (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
        if len(lines) == times:
            return lines
        time.sleep(0.05)
    raise AssertionError(lines)


def test_a_job_that_still_runs_is_not_begun_by_the_next_release(job, tmp_path):
    first = job("v1")
    assert began(tmp_path, 1) == ["v1"]
    second = job("v2")
    assert second.communicate(timeout=30)[0] == (
        "gitdeploy: import still runs, since before v2 was live: not begun again now\n"
    )
    assert second.returncode == 0 and first.poll() is None
    (tmp_path / "gate").touch()
    assert first.wait(30) == 0
    third = job("v3")
    assert third.wait(30) == 0 and began(tmp_path, 2) == ["v1", "v3"]


def test_what_python_compiled_may_be_deleted_at_any_time(job, tmp_path):
    cache = tmp_path / "pycache"
    first = job("v1")
    assert began(tmp_path, 1) == ["v1"]
    shutil.rmtree(cache, ignore_errors=True)
    second = job("v2")
    assert second.wait(30) == 0 and first.poll() is None and began(tmp_path, 1) == ["v1"]
    (tmp_path / "gate").touch()
    assert first.wait(30) == 0
    assert job("v3").wait(30) == 0 and began(tmp_path, 2) == ["v1", "v3"]


def test_one_that_was_killed_leaves_nothing_behind(job, tmp_path):
    first = job("v1")
    began(tmp_path, 1)
    first.kill()
    first.wait(30)
    with (tmp_path / "logs" / ".job-import").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until its last child has ended
    (tmp_path / "gate").touch()
    assert job("v2").wait(30) == 0
    assert began(tmp_path, 2) == ["v1", "v2"]


def test_a_program_that_nothing_says_how_to_run(tmp_path):
    (tmp_path / "tree" / "bin").mkdir(parents=True)
    (tmp_path / "tree" / "app.yaml").write_text("platform: static\n")
    (tmp_path / "tree" / "bin" / "x").write_text("echo x\n")
    (tmp_path / "tree" / "bin" / "x").chmod(0o755)
    (tmp_path / "settings").write_text(json.dumps({"environ": {"PATH": os.defpath}}))
    told = json.dumps({"words": ["bin/x"], "term": None})
    argv = [sys.executable, "-m", "buildless.oneoff", str(tmp_path), told]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode == 127
    assert done.stdout == (
        "gitdeploy: bin/x cannot be started: nothing says what runs it;"
        " begin it with a line such as #!/bin/sh or #!/usr/bin/env python3\n"
    )
