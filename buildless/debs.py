"""The Debian packages that a platform needs, which app.yaml need not name."""

from __future__ import annotations

from typing import Tuple

from buildless.description import Description

ASGI = ("python3-uvicorn", "python3-websockets")


def debs(description: Description, fastcgi: bool) -> Tuple[str, ...]:
    """All that must be installed, where the web server speaks FastCGI and where it does not."""
    implied = {"asgi": ASGI, "php": ("php-fpm",) if fastcgi else ("php-cli",)}
    found = [name for platform in description.platform for name in implied.get(platform, ())]
    return tuple(dict.fromkeys([*description.deb, *found]))
