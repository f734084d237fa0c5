"""Lets the web server read what an application stores for all to see, by access control lists (acl(5)).

A group, with setgid directories, would do as long as no application says a mode: with the mode of the directory above, as WordPress
does, it could not make one (systemd's RestrictSUIDSGID), and with any other the group would be lost.
"""

from __future__ import annotations

from pathlib import Path

from buildless.node import tool


def let_read(top: Path, group: int) -> None:
    """Let the group with this number read a directory, all that is below it, and whatever is made there from now on.

    Others than the owner and its own group may do nothing. Links are not followed. Raises NodeError, also where the file system has
    no such lists.
    """
    now = f"group:{group}:rX,other::-"
    later = f"default:user::rwx,default:group::rx,default:group:{group}:rx,default:other::-"
    tool.run(("setfacl", "--recursive", "--physical", "--modify", f"{now},{later}", "--", str(top)), timeout=tool.LONG)
