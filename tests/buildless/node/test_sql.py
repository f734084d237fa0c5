import pytest

from buildless.errors import NodeError
from buildless.node import sql

PASSWORD = "0123456789abcdef" * 3


def test_a_user_and_a_database():
    assert sql.role_sql("shop_staging", PASSWORD) == (
        "SELECT 'CREATE ROLE \"shop_staging\"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_staging') \\gexec\n"
        'ALTER ROLE "shop_staging" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
        f" PASSWORD '{PASSWORD}';\n"
    )
    assert sql.create_sql("shop_0new", "shop") == (
        "SELECT 'CREATE DATABASE \"shop_0new\" OWNER \"shop\" TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C.UTF-8'' LC_CTYPE"
        " ''C.UTF-8''' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_0new') \\gexec\n"
        'REVOKE ALL ON DATABASE "shop_0new" FROM PUBLIC;\n'
        'ALTER DATABASE "shop_0new" ALLOW_CONNECTIONS true;\n'
    )


def test_extensions_are_made_by_who_owns_the_database():
    unless = "WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') \\gexec\n"
    own = 'SET ROLE "shop";\nSET search_path = public;\nCREATE EXTENSION IF NOT EXISTS "hstore";\n'
    assert sql.extension_sql("shop_0new", "shop", ("hstore",), ()) == f"SET client_min_messages = warning;\n{own}"
    its = (
        "FROM pg_extension JOIN pg_namespace AS schema ON schema.oid = extnamespace WHERE extname = 'postgis' \\gexec\n"
    )
    rights = (
        f"SELECT format('GRANT USAGE ON SCHEMA %I TO PUBLIC', nspname) {its}"
        f"SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.spatial_ref_sys TO \"shop\"', nspname) {its}"
    )
    assert sql.extension_sql("shop_0new", "shop", ("postgis", "hstore"), ("postgis",)) == (
        "SET client_min_messages = warning;\nBEGIN;\n"
        f'SELECT \'ALTER DATABASE "shop_0new" SET search_path = "$user", public, "postgis"\' {unless}'
        f"SELECT 'CREATE SCHEMA \"postgis\"' {unless}"
        f'SELECT \'CREATE EXTENSION "postgis" SCHEMA "postgis"\' {unless}COMMIT;\n{rights}{own}'
    )
    assert sql.extension_sql("shop_0new", "shop", (), ("postgis",), "public") == (
        "SET client_min_messages = warning;\nBEGIN;\n"
        f'SELECT \'CREATE EXTENSION "postgis" SCHEMA "public"\' {unless}COMMIT;\n{rights}'
    )


def test_the_swap_is_one_transaction():
    text = sql.swap_sql("shop")
    assert text.endswith(
        'BEGIN;\nALTER DATABASE "shop" RENAME TO "shop_0old";\nALTER DATABASE "shop_0new" RENAME TO "shop";\nCOMMIT;\n'
    )


@pytest.mark.parametrize("name", ["", 'a"; DROP', "a b", "A", "1a", "a'"])
def test_nothing_else_gets_into_sql(name):
    with pytest.raises(NodeError):
        sql.identifier(name)
    with pytest.raises(NodeError):
        sql.role_sql("shop", name)
