"""mongodb: a database of a MongoDB that is somewhere else; Debian has none."""

from __future__ import annotations

from typing import Dict
from urllib.parse import unquote, urlsplit

from buildless.service import Service


class Mongodb(Service):
    """MONGODB_URL is ``mongodb://USER:PASSWORD@HOST:PORT/DATABASE``; there may be several hosts, with commas between them."""

    packaged = False
    variables = ("MONGODB_URL", "MONGODB_URI", "MONGO_URL")
    schemes = ("mongodb", "mongodb+srv")

    def told(self, url: str) -> Dict[str, str]:
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
        if parts.scheme not in self.schemes or not hosts:
            raise ValueError("it is not as mongodb://USER:PASSWORD@HOST:PORT/DATABASE")
        name, _, password = user.partition(":")
        return {
            "CONFIG_MONGODB_DB": unquote(parts.path.strip("/")),
            "CONFIG_MONGODB_HOST": hosts,
            "CONFIG_MONGODB_USER": unquote(name),
            "CONFIG_MONGODB_PASSWORD": unquote(password),
            "MONGODB_URL": url,
            "MONGODB_URI": url,
        }


SERVICE = Mongodb()
