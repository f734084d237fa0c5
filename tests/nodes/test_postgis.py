"""PostGIS on a real node: places that come back from a backup, with a system of coordinates of one's own."""

from __future__ import annotations

import pytest

from .keeper import yard_on
from .visitor import says

GEO = {
    "app.yaml": """\
platform: python, wsgi
app: towns.wsgi:application
deb: [python3-django, python3-psycopg2, libgdal32, libgeos-c1v5, libproj25]
services: postgis
update: manage.py migrate --noinput
""",
    "manage.py": """\
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "towns.settings"
execute_from_command_line(sys.argv)
""",
    "towns/__init__.py": "",
    "towns/settings.py": """\
import os
from buildless.secret import get_secret
SECRET_KEY, ALLOWED_HOSTS, ROOT_URLCONF = get_secret(), ["*"], "towns.wsgi"
INSTALLED_APPS = ["django.contrib.gis", "towns"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {
    "ENGINE": "django.contrib.gis.db.backends.postgis",
    **{key: os.environ[f"CONFIG_PG_{name}"] for key, name in (
        ("NAME", "DBNAME"), ("USER", "USER"), ("PASSWORD", "PASSWORD"), ("HOST", "HOST"))},
}}
""",
    "towns/models.py": """\
from django.contrib.gis.db import models
class Town(models.Model):
    name = models.CharField(max_length=50)
    at = models.PointField(geography=True)
""",
    "towns/migrations/__init__.py": "",
    "towns/migrations/0001_initial.py": """\
import django.contrib.gis.db.models.fields
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Town", [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("at", django.contrib.gis.db.models.fields.PointField(geography=True, srid=4326)),
    ])]
""",
    "towns/wsgi.py": """\
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "towns.settings"
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
application = get_wsgi_application()
def near(request):
    from django.contrib.gis.geos import Point
    from django.contrib.gis.measure import D
    from .models import Town
    for name, x, y in (("Berlin", 13.4, 52.5), ("Potsdam", 13.06, 52.4), ("Paris", 2.35, 48.86)):
        Town.objects.get_or_create(name=name, defaults={"at": Point(x, y)})
    found = Town.objects.filter(at__distance_lte=(Point(13.4, 52.5), D(km=50))).order_by("name")
    return HttpResponse(", ".join(town.name for town in found))
urlpatterns = [path("", lambda request: HttpResponse("well")), path("near", near)]
""",
}
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


def test_extensions_that_are_asked_for_no_more_come_back_with_what_is_made_of_them(yard, tmp_path):
    shop = yard.keeper("less", "{postgis: {extensions: [hstore]}}")
    shop.push().ok()
    shop.do("sql('CREATE TABLE places (at geometry(Point, 4326), more hstore)')")
    shop.do("sql('INSERT INTO places VALUES (ST_SetSRID(ST_MakePoint(%s, %s), 4326), %s)', 13.4, 52.5, 'a=>1')")
    shop.app.commit("Less", {"app.yaml": shop.yaml.replace("{postgis: {extensions: [hstore]}}", "postgresql")})
    shop.push().ok()
    yard.save(tmp_path / "b", "backup", "less")
    shop.do("sql('DELETE FROM places')")
    yard.send(tmp_path / "b", "restore", "less", "--confirm", "less").ok()
    assert shop.do("sql('SELECT ST_AsText(at), more::text FROM places')") == [["POINT(13.4 52.5)", '"a"=>"1"']]


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


EARLIER = """\
DROP EXTENSION postgis;
DROP SCHEMA postgis;
ALTER DATABASE earlier RESET search_path;
CREATE EXTENSION postgis SCHEMA public;
"""


def test_postgis_that_was_made_in_public_stays_there(yard, tmp_path):
    """As gitdeploy once made it. Columns of the app, and its backups, name the schema."""
    shop = yard.keeper("earlier", "postgis")
    shop.push().ok()
    psql = ("runuser", "-u", "postgres", "--", "psql", "-v", "ON_ERROR_STOP=1", "earlier")
    yard.node.ssh(*psql, stdin=EARLIER.encode())
    shop.do("sql('CREATE TABLE places (at public.geometry(Point, 4326))')")
    shop.do("sql('INSERT INTO places VALUES (ST_SetSRID(ST_MakePoint(13.4, 52.5), 4326))')")
    shop.app.commit("Once more", {"more.txt": ""})
    shop.push().ok()
    place = "sql('SELECT ST_AsText(at) FROM places')"
    assert shop.do(place) == [["POINT(13.4 52.5)"]]
    assert shop.do("sql('UPDATE spatial_ref_sys SET auth_name = auth_name WHERE srid = 4326')") is None
    yard.save(tmp_path / "b", "backup", "earlier")
    yard.server.ssh("clear", "earlier", "postgis", "--confirm", "earlier").ok()
    yard.send(tmp_path / "b", "restore", "earlier", "--confirm", "earlier").ok()
    assert shop.do(place) == [["POINT(13.4 52.5)"]]
    schema = "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = %s"
    assert shop.do(f"sql('{schema}', 'postgis')") == [["public"]]
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert shop.do(f"sql('{owner}')") == [["earlier"]]


def test_geodjango(yard):
    """As docs/django.rst says: another engine, and what it needs of Debian."""
    app = yard.server.app("towns")
    app.commit("Towns", GEO)
    told = app.push("deploy", "master", limit=500).ok().text
    assert "Applying towns.0001_initial... OK" in told
    assert says(yard.node, app, "/near") == "Berlin, Potsdam"
