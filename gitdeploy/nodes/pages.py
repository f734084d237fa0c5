"""The pages of nginx on a node: files that setup-node lays there, made from the same template as the embedded node's pages.

nginx names no application in them; ``snippets/gitdeploy-own.conf`` says which is for which error.
"""

from __future__ import annotations

from ..web.pages import Page, Pages

DIRECTORY = "usr/lib/gitdeploy/pages"

PAGES = {
    "404": Page(
        404,
        "Nothing here by that name",
        "There is nothing at this address on this machine.",
        "Check the spelling. If it is yours: apps over ssh lists what is deployed, and a first push makes an application.",
    ),
    "405": Page(
        405,
        "Nothing to send to",
        "This application consists of files: they can be read and nothing can be sent to them.",
        "Use GET or HEAD.",
    ),
    "502": Page(
        502,
        "The application did not answer",
        "It takes no connections, or closed this one without an answer.",
        "Try again in a moment. If it is yours: logs over ssh says why; push a fix, or roll back.",
    ),
    "503": Page(
        503,
        "The application is being brought up to date",
        "It is back in a moment.",
        "Try again in a moment.",
    ),
    "504": Page(
        504,
        "The application takes too long",
        "It did not answer for 12 seconds; the request was given up.",
        "Try again in a moment. If it is yours: logs over ssh says where it was; push a fix, or roll back.",
    ),
    "maintenance": Page(
        503,
        "The application is out of service",
        "Whoever keeps it has taken it out of service for a while.",
        "Try again later.",
    ),
}
"""By the names of the files, without ``.html`` and ``.txt``."""


def files() -> dict[str, str]:
    """The content of each file, by its path from /, without the slash."""
    pages = Pages()
    made = {}
    for name, page in PAGES.items():
        made[f"{DIRECTORY}/{name}.html"] = pages.html(page)
        made[f"{DIRECTORY}/{name}.txt"] = pages.text(page)
    return made
