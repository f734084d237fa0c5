"""The command that prints the schema of app.yaml."""

import json
import subprocess
import sys

from buildless.schema import schema


def test_it_prints_the_schema(tmp_path):
    argv = [sys.executable, "-m", "gitdeploy", "schema"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == schema()
