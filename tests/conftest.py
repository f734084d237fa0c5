"""The order of the tests: files that take minutes come first, so that no lane of ``bin/test`` is left with one at the end."""

from pathlib import Path

HERE = Path(__file__).parent
FIRST = ("nodes", "test_pythons.py", "functional")


def pytest_collection_modifyitems(items):
    """Each file of tests stays together; see `early`."""
    items.sort(key=lambda item: early(item.path))


def early(path):
    """How early a file comes: the place in FIRST of its directory, or of itself."""
    name = path.relative_to(HERE).parts[0]
    return FIRST.index(name) if name in FIRST else len(FIRST)
