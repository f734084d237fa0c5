"""Jobs at times on the embedded node: a real minute has to pass."""

from __future__ import annotations

from pathlib import Path

from .session import PYTHON, Server, eventually, hello

JOB = """\
import os, time
def tick(*words):
    with open("{log}", "a") as file:
        print(os.environ["APP_RELEASE"], *words, file=file)
    print("tick", *words)
def slow():
    tick("slow")
    time.sleep(600)
"""
CRON = """\
cron:
  tick: "* * * * * jobs:tick now"
  slow: {at: "* * * * *", run: jobs:slow, timeout: 70s}
  never: "0 0 29 2 * jobs:tick never"
"""


def test_jobs_are_run_by_what_is_live_and_never_two_of_one_at_once(server: Server, tmp_path: Path) -> None:
    log, app = tmp_path / "log", server.app("timely")
    app.commit("Jobs", {**hello("one"), "app.yaml": PYTHON + CRON, "jobs.py": JOB.format(log=log)})
    app.push().ok()
    eventually("both were run", lambda: log.exists() and set(log.read_text().split("\n")) >= {"v1 now", "v1 slow"}, 75)
    assert " v1 tick | tick now\n" in server.ssh("logs", "timely").ok().out
    app.commit("Jobs", {"hello.py": hello("two")["hello.py"]})
    app.push().ok()
    eventually("the next minute", lambda: "v2 now" in log.read_text(), 75)
    assert log.read_text().count("slow") == 1  # it is still running
    assert "never" not in log.read_text()
    eventually(
        "its time is over", lambda: " slow | ended with exit code 124" in server.ssh("logs", "timely").ok().out, 75
    )
