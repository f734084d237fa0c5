"""The lanes of ``LANES=3 bin/test``: files that take minutes come first, so that none is left with one at the end."""

from pathlib import Path

HERE = Path(__file__).parent
FIRST = ("nodes/test_faults.py", "nodes", "test_pythons.py", "functional")


def pytest_collection_modifyitems(config, items):
    """Each file of tests stays together; see `early`."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: early(item.path))


def early(path):
    """How early a file comes: the first place in FIRST of itself or of a directory that it is in."""
    within = path.relative_to(HERE)
    names = [str(place) for place in (within, *within.parents)]
    return min((FIRST.index(name) for name in names if name in FIRST), default=len(FIRST))


def pytest_unconfigure(config):
    """Nodes of lanes that were killed go now; after Ctrl-C they have but five seconds to take them down (execnet)."""
    if config.pluginmanager.hasplugin("dsession"):
        from .nodes.machines import TOP, lacking, tidied

        if TOP.exists() and not lacking():
            with tidied(TOP):
                pass
