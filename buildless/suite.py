"""``python -m buildless.suite ARGUMENT...``, in an application's process: runs the tests of one that does not say how.

That is pytest where the application's Python has it, and unittest otherwise; they find tests by their own rules.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys


def main() -> None:
    name = "pytest" if importlib.util.find_spec("pytest") is not None else "unittest"
    sys.stderr.write(f"-----> Running: {' '.join(['python3 -m', name, *sys.argv[1:]])}\n")
    sys.stderr.flush()
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
