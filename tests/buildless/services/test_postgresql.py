from buildless.service import Account
from buildless.services import postgresql

PASSWORD = "0123456789abcdef" * 3


def test_extensions_are_not_restored():
    listed = (
        ";\n; Archive created at 2026-11-24\n2; 3079 16389 EXTENSION - hstore \n3355; 0 0 COMMENT - EXTENSION hstore \n"
        "215; 1259 16390 TABLE public notes shop\n"
    )
    assert postgresql.wanted(listed).splitlines()[2:] == ["215; 1259 16390 TABLE public notes shop"]
    assert postgresql.EXTENSIONS.findall(listed) == ["hstore"]
    assert "2; 3079 16389 EXTENSION - hstore " in postgresql.wanted(listed, (), {"hstore", "ltree"}).splitlines()


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
