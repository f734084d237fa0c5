"""The command lines that nodes need, as argv tuples; pure."""

from __future__ import annotations


def rsync(source: str, destination: str) -> tuple[str, ...]:
    """Copy the files whose names come on standard input, each ended by NUL, as they are: bytes, executable bits, symlinks, times.

    Takes the directory they are in and the one they go to (``HOST:DIR`` for a remote one). See rsync(1).
    """
    what = ("--links", "--perms", "--times", "--from0", "--files-from=-", "--whole-file")
    return ("rsync", *what, "--info=progress2", "--no-inc-recursive", "--", f"{source}/", f"{destination}/")


def agent(python: str, root: str) -> tuple[str, ...]:
    """The node's side of a deploy, answering requests on its standard input."""
    return (python, "-I", "-m", "buildless.node", "--root", root)


def web(python: str, release: str) -> tuple[str, ...]:
    """The web process type of the release in a directory: it listens on descriptor 3 and says on 4 that it is ready."""
    return (python, "-m", "buildless.web", release, "--fd", "3", "--ready-fd", "4")
