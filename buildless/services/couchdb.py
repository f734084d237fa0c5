"""couchdb: a database of a CouchDB that is somewhere else; Debian has none."""

from __future__ import annotations

from typing import Dict
from urllib.parse import unquote

from buildless.service import Service, split


class Couchdb(Service):
    """COUCHDB_URL is ``https://USER:PASSWORD@HOST:PORT/DATABASE``."""

    packaged = False
    variables = ("COUCHDB_URL",)
    schemes = ("http", "https")

    def told(self, url: str) -> Dict[str, str]:
        parts = split(url, self.schemes)
        return {
            "CONFIG_COUCHDB_DB": unquote(parts.path.strip("/")),
            "CONFIG_COUCHDB_HOST": f"{parts.hostname}:{parts.port or (6984 if parts.scheme == 'https' else 5984)}",
            "CONFIG_COUCHDB_USER": unquote(parts.username or ""),
            "CONFIG_COUCHDB_PASSWORD": unquote(parts.password or ""),
            "COUCHDB_URL": url,
        }


SERVICE = Couchdb()
