import pytest

from buildless.errors import NodeError
from buildless.service import Account
from buildless.services import postgresql

PASSWORD = "0123456789abcdef" * 3


def test_a_user_and_a_database():
    assert postgresql.role_sql("shop_staging", PASSWORD) == (
        "SELECT 'CREATE ROLE \"shop_staging\"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_staging') \\gexec\n"
        'ALTER ROLE "shop_staging" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
        f" PASSWORD '{PASSWORD}';\n"
    )
    assert postgresql.create_sql("shop_0new", "shop") == (
        "SELECT 'CREATE DATABASE \"shop_0new\" OWNER \"shop\" TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C.UTF-8'' LC_CTYPE"
        " ''C.UTF-8''' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_0new') \\gexec\n"
        'REVOKE ALL ON DATABASE "shop_0new" FROM PUBLIC;\n'
        'ALTER DATABASE "shop_0new" ALLOW_CONNECTIONS true;\n'
    )


def test_extensions_are_made_by_who_owns_the_database():
    unless = "WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis') \\gexec\n"
    own = 'SET ROLE "shop";\nSET search_path = public;\nCREATE EXTENSION IF NOT EXISTS "hstore";\n'
    assert (
        postgresql.extension_sql("shop_0new", "shop", ("hstore",), ()) == f"SET client_min_messages = warning;\n{own}"
    )
    its = (
        "FROM pg_extension JOIN pg_namespace AS schema ON schema.oid = extnamespace WHERE extname = 'postgis' \\gexec\n"
    )
    rights = (
        f"SELECT format('GRANT USAGE ON SCHEMA %I TO PUBLIC', nspname) {its}"
        f"SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.spatial_ref_sys TO \"shop\"', nspname) {its}"
    )
    assert postgresql.extension_sql("shop_0new", "shop", ("postgis", "hstore"), ("postgis",)) == (
        "SET client_min_messages = warning;\nBEGIN;\n"
        f'SELECT \'ALTER DATABASE "shop_0new" SET search_path = "$user", public, "postgis"\' {unless}'
        f"SELECT 'CREATE SCHEMA \"postgis\"' {unless}"
        f'SELECT \'CREATE EXTENSION "postgis" SCHEMA "postgis"\' {unless}COMMIT;\n{rights}{own}'
    )
    assert postgresql.extension_sql("shop_0new", "shop", (), ("postgis",), "public") == (
        "SET client_min_messages = warning;\nBEGIN;\n"
        f'SELECT \'CREATE EXTENSION "postgis" SCHEMA "public"\' {unless}COMMIT;\n{rights}'
    )


def test_the_swap_is_one_transaction():
    text = postgresql.swap_sql("shop")
    assert text.endswith(
        'BEGIN;\nALTER DATABASE "shop" RENAME TO "shop_0old";\nALTER DATABASE "shop_0new" RENAME TO "shop";\nCOMMIT;\n'
    )


@pytest.mark.parametrize("name", ["", 'a"; DROP', "a b", "A", "1a", "a'"])
def test_nothing_else_gets_into_sql(name):
    with pytest.raises(NodeError):
        postgresql.identifier(name)
    with pytest.raises(NodeError):
        postgresql.role_sql("shop", name)


def test_extensions_are_not_restored():
    listed = (
        ";\n; Archive created at 2026-11-24\n2; 3079 16389 EXTENSION - hstore \n3355; 0 0 COMMENT - EXTENSION hstore \n"
        "215; 1259 16390 TABLE public notes shop\n"
    )
    assert postgresql.wanted(listed).splitlines()[2:] == ["215; 1259 16390 TABLE public notes shop"]


def test_options():
    found = postgresql.SERVICE.problem
    assert found({}) is None and found({"extensions": ("hstore", "uuid-ossp")}) is None
    assert "no name of an extension" in (found({"extensions": ("a;b",)}) or "")
    assert "write postgis" in (found({"extensions": ("postgis",)}) or "")


def test_other_nodes_are_admitted_one_by_one():
    before = 'local all all peer\nhost "bank" "bank" 10.0.0.1/32 scram-sha-256 # gitdeploy: bank\n'
    account = Account("postgresql", "shop.staging", PASSWORD, host="10.0.0.9", clients=("10.0.0.1", "fd00::7"))
    after = postgresql.admit(before, account)
    assert after == before + (
        'host "shop_staging" "shop_staging" 10.0.0.1/32 scram-sha-256 # gitdeploy: shop.staging\n'
        'host "shop_staging" "shop_staging" fd00::7/128 scram-sha-256 # gitdeploy: shop.staging\n'
    )
    assert postgresql.admit(after, account) == after
    fewer = Account("postgresql", "shop.staging", PASSWORD, host="10.0.0.9", clients=("10.0.0.1",))
    assert postgresql.admit(after, fewer) == "".join(after.splitlines(keepends=True)[:-1])
    assert postgresql.admit(after, Account("postgresql", "shop.staging", PASSWORD)) == before
