"""PostGIS on a real node: places that come back from a backup, with a system of coordinates of one's own."""

from __future__ import annotations

from .keeper import yard_on

OWN = "INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, proj4text) VALUES (990001, ''mine'', 1, ''+proj=longlat'')"


def test_places_come_back(machines, nodes, tmp_path):
    with yard_on(machines, nodes, "places") as yard:
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
