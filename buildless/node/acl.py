"""Lets the web server read what an application stores for all to see, by access control lists (acl(5)).

A group, with setgid directories, would do as long as no application says a mode: with the mode of the directory above, as WordPress
does, it could not make one (systemd's RestrictSUIDSGID), and with any other the group would be lost.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

from buildless.errors import NodeError

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
OWNER, OWNING_GROUP, GROUP, MASK, OTHERS = 0x01, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF  # where an entry needs no number
READ, LIST = 0o4, 0o5


def let_read(path: str, group: int) -> None:
    """Let the group with this number read a file; or list a directory (0750), and read whatever is made in it from now on.

    Others than the owner and its own group may do nothing. Raises NodeError.
    """
    mode = os.stat(path).st_mode
    directory = stat.S_ISDIR(mode)
    owner, owning, right = (7, 5, LIST) if directory else (mode >> 6 & 7, mode >> 3 & 7, READ)
    listed = packed(owner, owning, group, right)
    try:
        os.setxattr(path, ACCESS, listed)
        if directory:
            os.setxattr(path, DEFAULT, listed)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        raise NodeError(
            "the file system of /var/lib/apps has no access control lists; mount it with the option acl"
        ) from error


def packed(owner: int, owning: int, group: int, right: int) -> bytes:
    """The list as the kernel takes it: a version, and entries of a tag, rights and a number, in the order of their tags.

    >>> packed(0o7, 0o5, 33, 0o5).hex(" ", 4)
    '02000000 01000700 ffffffff 04000500 ffffffff 08000500 21000000 10000500 ffffffff 20000000 ffffffff'
    """
    entries = (
        (OWNER, owner, NOBODY),
        (OWNING_GROUP, owning, NOBODY),
        (GROUP, right, group),
        (MASK, owning | right, NOBODY),
        (OTHERS, 0, NOBODY),
    )
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
