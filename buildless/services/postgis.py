"""postgis: PostgreSQL with the PostGIS extension."""

from __future__ import annotations

from buildless.services.postgresql import Postgresql


class Postgis(Postgresql):
    """The variables are those of postgresql."""

    debs = ("postgresql", "postgresql-postgis")
    trusted = ("postgis",)
    like = "postgresql"


SERVICE = Postgis()
