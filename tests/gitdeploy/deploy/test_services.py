from types import SimpleNamespace

import pytest

from buildless.description import parse
from buildless.service import Account, find, password_of
from gitdeploy.config import Environment
from gitdeploy.deploy.services import accounts, external, node_of, refusal
from gitdeploy.errors import Refused
from gitdeploy.names import Place

SHOP = Place("shop", "production")
ONE = Environment("production", ("web1",))
TWO = Environment("production", ("web1", "web2"))
WITH = Environment("production", ("web1", "web2"), services="db1")
ADDRESSES = {"web1": "10.0.0.1", "web2": "10.0.0.2", "db1": "10.0.0.9", "embedded": "this machine"}


class FakeSite:
    def __init__(self, environment):
        self.made = environment

    def environment(self, place):
        return self.made

    def node(self, name):
        return SimpleNamespace(address=ADDRESSES[name])

    def services_secret(self, place):
        return "s" * 64


def found(environment, services, **variables):
    description = parse(f"platform: static\nservices: {services}\n".encode())
    return accounts(FakeSite(environment), SHOP, "shop", description, variables)


def test_on_one_node_everything_is_here():
    assert found(ONE, "{postgresql: {extensions: [hstore]}, files: }") == (
        Account("postgresql", "shop", password_of("s" * 64, "postgresql"), {"extensions": ("hstore",)}),
        Account("files", "shop", password_of("s" * 64, "files"), {}),
    )


def test_who_goes_from_postgresql_to_postgis_has_the_same_database():
    [before], [after] = found(ONE, "postgresql"), found(ONE, "postgis")
    assert (before.name, before.password) == (after.name, after.password)


def test_of_several_nodes_one_has_them():
    assert found(WITH, "redis") == (
        Account("redis", "shop", password_of("s" * 64, "redis"), {}, "10.0.0.9", 0, ("10.0.0.1", "10.0.0.2")),
    )
    with pytest.raises(Refused) as refused:
        found(TWO, "redis")
    assert str(refused.value) == (
        "redis must be on one of the 2 nodes of production; write `services: NODE` for production in gitdeploy.yaml, with the node"
        " that has had the data so far, or any if there are none, and have the server read it again"
        " (systemctl reload gitdeploy, or SIGHUP)"
    )
    with pytest.raises(Refused, match="files can only be used on one node, and production has others"):
        found(WITH, "files")


def test_a_directory_for_several_nodes_is_not_shared_with_the_servers_own_machine():
    assert found(WITH, "nfs")[0].host == "10.0.0.9"
    assert found(Environment("production", ("embedded",)), "nfs")[0].host == ""
    for environment in (
        Environment("production", ("embedded", "web1"), services="web1"),
        Environment("production", ("web1", "web2"), services="embedded"),
    ):
        with pytest.raises(Refused, match=r"nfs cannot be shared with the server's own machine.* write machines alone"):
            found(environment, "nfs")


def test_what_is_somewhere_else_needs_no_node():
    assert found(TWO, "redis", REDIS_URL="redis://x") == (Account("redis", "shop", url="redis://x"),)
    assert found(Environment("production"), "couchdb", COUCHDB_URL="http://x/y")[0].url == "http://x/y"
    with pytest.raises(Refused, match="Debian has no package of mongodb; set the config var MONGODB_URL"):
        found(TWO, "mongodb")


def test_one_variable_can_be_of_two_services():
    both = {"postgresql": {}, "mysql": {}}
    urls = {"DATABASE_URL": "postgres://x/y"}
    assert external(find("postgresql"), urls, both) == "postgres://x/y"
    assert external(find("mysql"), urls, both) is None
    with pytest.raises(Refused, match="DATABASE_URL is no URL of mysql: it does not begin with mysql://"):
        external(find("mysql"), urls, {"mysql": {}})
    with pytest.raises(Refused, match="it names no host"):
        external(find("mysql"), {"MYSQL_URL": "mysql:///shop"}, {"mysql": {}})


def test_where_services_are():
    assert node_of(ONE, ["redis"]) == "web1" and node_of(WITH, ["redis"]) == "db1"
    assert node_of(TWO, []) == "web1"


def test_the_servers_own_machine_has_files_and_no_more():
    here = Environment("production")
    assert refusal(find("files"), here, "embedded") is None
    assert (refusal(find("mysql"), here, "embedded") or "").endswith(
        "set the config var MYSQL_URL to the URL of one (config:set), or name a machine in gitdeploy.yaml (gitdeploy create-node)"
    )
