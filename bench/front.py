"""Requests per second through the embedded front, beside gunicorn alone: ``python bench/front.py [SECONDS]`` (needs wrk)."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "12"), ("Content-Type", "text/plain")])
    return [b"hello, world"]
"""


def wrk(port: int, path: str, seconds: int) -> tuple[float, str]:
    """Requests per second, and wrk's line about failures."""
    argv = ["wrk", "-t1", "-c20", f"-d{seconds}", "-H", "Host: shop.localhost", f"http://127.0.0.1:{port}{path}"]
    out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate, out
    return float(rate[1]), " ".join(re.findall(r"(?:Socket errors|Non-2xx).*", out))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def main() -> None:
    seconds = int(sys.argv[1]) if sys.argv[1:] else 5
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        room = Path(name)
        (room / "app.py").write_text(APP)
        (room / "static").mkdir()
        (room / "static/small.css").write_text("x" * 2000)
        gunicorn = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w2", "--threads=5", "--log-level=error"]
        binds = [f"--bind=unix:{room}/sock", "--bind=127.0.0.1:18099", f"--pid={room}/pid", "app"]
        hosts = {"shop.localhost": {"socket": f"{room}/sock", "static": f"{room}/static"}}
        running = [subprocess.Popen([*gunicorn, *binds], cwd=room)]
        try:
            wait_for(room / "sock")
            serve = [
                sys.executable,
                str(ROOT / "tests/gitdeploy/web/serve_front.py"),
                json.dumps({"hosts": hosts, "quiet": True}),
            ]
            front = subprocess.Popen(serve, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
            running.append(front)
            assert front.stdout is not None
            port = int(front.stdout.readline())
            for what, where, path in (
                ("gunicorn alone, kept alive", 18099, "/"),
                ("front and gunicorn", port, "/"),
                ("front, a file", port, "/small.css"),
            ):
                rate, failures = wrk(where, path, seconds)
                print(f"{what:28} {rate:8.0f} requests/s  {failures}")
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(20)


main()
