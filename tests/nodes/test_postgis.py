"""PostGIS on a real node: places that come back from a backup, with a system of coordinates of one's own."""

from __future__ import annotations

import pytest

from .keeper import yard_on

OWN = "INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, proj4text) VALUES (990001, ''mine'', 1, ''+proj=longlat'')"


@pytest.fixture(scope="module")
def yard(machines, nodes):
    with yard_on(machines, nodes, "places") as yard:
        yield yard


def test_places_come_back(yard, tmp_path):
    shop = yard.keeper("shop", "{postgis: {extensions: [hstore]}}")
    shop.push().ok()
    shop.do(f"sql('{OWN.replace(chr(39) * 2, chr(92) + chr(39))}')")
    shop.do("sql('CREATE TABLE places (at geometry(Point, 4326))')")
    shop.do("sql('INSERT INTO places VALUES (ST_SetSRID(ST_MakePoint(%s, %s), 4326))', 13.4, 52.5)")
    yard.save(tmp_path / "b", "backup", "shop")
    yard.server.ssh("clear", "shop", "postgis", "--confirm", "shop").ok()
    assert "places" in shop.do("sql('SELECT * FROM places')")["error"]
    yard.send(tmp_path / "b", "restore", "shop", "--confirm", "shop").ok()
    assert shop.do("sql('SELECT ST_AsText(at) FROM places')") == [["POINT(13.4 52.5)"]]
    assert shop.do("sql('SELECT auth_name FROM spatial_ref_sys WHERE srid = 990001')") == [["mine"]]


def test_what_the_owner_of_a_database_puts_there_does_nothing_as_the_superuser(yard):
    """The app has a database first, and asks for PostGIS then."""
    shop = yard.keeper("trap", "postgresql")
    shop.push().ok()
    for statement in (
        "CREATE SCHEMA trap",
        "CREATE FUNCTION trap.spring() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE trap SUPERUSER'; "
        "RETURN ''; END $$",
        "CREATE VIEW trap.pg_extension AS SELECT trap.spring() AS extname",
        "ALTER DATABASE trap SET search_path = trap, pg_catalog, public",
    ):
        assert shop.do(f"sql({statement!r})") is None
    shop.app.commit("PostGIS", {"app.yaml": shop.yaml.replace("services: postgresql", "services: postgis")})
    shop.push().ok()
    assert shop.do("sql('SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user')") == [[False]]
    assert shop.do("sql('SELECT postgis_version() IS NULL')") == [[False]]
    refused = shop.do("sql('CREATE FUNCTION postgis.mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$')")
    assert "permission denied for schema postgis" in refused["error"]
