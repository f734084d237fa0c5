"""The Debian packages that a platform and mail need, which app.yaml need not name."""

from __future__ import annotations

from typing import Tuple

from buildless.description import Description

POSTFIX = ("postfix",)
ANSWERS = ("postfix postfix/main_mailer_type select No configuration",)
"""What debconf is to be answered for these: the configuration is ours (buildless/node/mail.py)."""

ASGI = ("python3-uvicorn", "python3-websockets")


def debs(description: Description, fastcgi: bool, mail: bool = False) -> Tuple[str, ...]:
    """All that must be installed, where the web server speaks FastCGI and where it does not; and where `mail` is to come in."""
    implied = {"asgi": ASGI, "php": ("php-fpm",) if fastcgi else ("php-cli",)}
    found = [name for platform in description.platform for name in implied.get(platform, ())]
    return tuple(dict.fromkeys([*description.deb, *found, *(POSTFIX if mail else ())]))
