"""What every Python that a process of an application starts runs first: PYTHONPATH begins with this directory.

So a program such as celery, or a script of the tree, finds what `paths` and `pip` name, as the web process does, with what .pth
files add, and after the tree's own sitecustomize.py. PYTHONPATH has the directories as well, for an interpreter that lacks PyYAML.
"""

import os
import sys


def activate() -> None:
    directory = os.environ.get("APP_DIRECTORY")
    if not directory:
        return
    here = os.path.dirname(os.path.abspath(__file__))
    library = os.path.dirname(os.path.dirname(here))
    if library not in sys.path:
        sys.path.append(library)
    from buildless.errors import BuildlessError
    from buildless.explanation import explain
    from buildless.package import AppPackage

    named = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != here]
    package = AppPackage(directory, [path for path in named if not f"{path}/".startswith(f"{directory}/")])
    try:
        package.activate()
    except BuildlessError as error:  # Python itself would go on, and say no more than that there was an error
        report = explain(error, package.directory) if error.__cause__ is not None else f"{error}\n"
        os.write(2, report.encode("utf-8", "backslashreplace"))
        os._exit(1)


activate()
