import doctest
import subprocess
import sys

import pytest

from buildless import development, service
from buildless.node import backups, instance
from buildless.service import Account, account_name, environ, find, names, password_of, secret_variables
from buildless.services import mysql

PASSWORD = "5" * 48


def test_every_module_is_a_service_that_has_what_it_needs():
    assert names() == (
        "couchdb", "files", "memcached", "mongodb", "mysql", "nfs", "postgis", "postgresql", "public_files", "rabbitmq",
        "redis",
    )  # fmt: skip
    for name in names():
        found = find(name)
        assert found.name == name
        assert found.packaged or (found.variables and not found.debs)
        assert bool(found.variables) == bool(found.schemes)


def test_there_is_no_other_service():
    with pytest.raises(ValueError, match="there is no service 'filez'"):
        find("filez")


def test_names_are_nobody_elses():
    assert account_name("shop.staging") == "shop_staging"
    assert account_name("shop-staging") == "shop-staging"
    for taken in ("postgres", "template1", "root", "mysql", "pg.staging", "information-schema", "guest"):
        assert account_name(taken) not in ("postgres", "template1", "root", "mysql", "guest")
        assert not account_name(taken).startswith("pg_")
    long = {account_name("n" * 40 + last + ".staging") for last in "xy"}
    assert len(long) == 2 and all(len(name) <= service.LONGEST for name in long)


def test_services_have_passwords_of_their_own():
    secret = "s" * 64
    assert password_of(secret, "redis") == password_of(secret, "redis") != password_of(secret, "mysql")
    assert len(password_of(secret, "redis")) == 48


def test_of_two_that_say_the_same_the_first_is_right():
    both = [Account("postgresql", "shop", PASSWORD), Account("mysql", "shop", PASSWORD)]
    assert environ(both, "/s")["DATABASE_URL"].startswith("postgresql://")
    assert environ(both[::-1], "/s")["DATABASE_URL"].startswith("mysql://")


def test_what_must_not_be_shown():
    told = [Account("redis", "shop", PASSWORD, port=20000), Account("files", "shop", PASSWORD)]
    assert secret_variables(told) == {
        "CONFIG_REDIS_PASSWORD": PASSWORD,
        "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:20000/0",
    }


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (Account("files", "shop"), {"CONFIG_FILES": "/s/files"}),
        (Account("public_files", "shop"), {"CONFIG_PUBLIC_FILES": "/s/public_files"}),
        (
            Account("postgresql", "shop.staging", PASSWORD, host="10.0.0.1"),
            {
                "CONFIG_PG_DBNAME": "shop_staging",
                "CONFIG_PG_USER": "shop_staging",
                "CONFIG_PG_USERNAME": "shop_staging",
                "CONFIG_PG_PASSWORD": PASSWORD,
                "CONFIG_PG_HOST": "10.0.0.1",
                "CONFIG_PG_PORT": "5432",
                "CONFIG_PG_SQLALCHEMY": f"postgresql://shop_staging:{PASSWORD}@10.0.0.1:5432/shop_staging",
                "DATABASE_URL": f"postgresql://shop_staging:{PASSWORD}@10.0.0.1:5432/shop_staging",
            },
        ),
        (
            Account("mysql", "shop", url="mysql2://al%40ice:s%3Acrt@db.example.com/orders"),
            {
                "CONFIG_MYSQL_DBNAME": "orders",
                "CONFIG_MYSQL_USER": "al@ice",
                "CONFIG_MYSQL_PASSWORD": "s:crt",
                "CONFIG_MYSQL_HOST": "db.example.com",
                "CONFIG_MYSQL_PORT": "",
                "CONFIG_MYSQL_SQLALCHEMY": "mysql2://al%40ice:s%3Acrt@db.example.com/orders",
                "MYSQL_URL": "mysql2://al%40ice:s%3Acrt@db.example.com/orders",
                "DATABASE_URL": "mysql2://al%40ice:s%3Acrt@db.example.com/orders",
            },
        ),
        (
            Account("redis", "shop", PASSWORD, port=20003),
            {
                "CONFIG_REDIS_HOST": "127.0.0.1",
                "CONFIG_REDIS_PORT": "20003",
                "CONFIG_REDIS_PASSWORD": PASSWORD,
                "CONFIG_REDIS_DB": "0",
                "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:20003/0",
            },
        ),
        (
            Account("memcached", "shop.staging"),
            {
                "CONFIG_MEMCACHED_SOCKET": "/run/service-shop.staging-memcached/memcached.sock",
                "MEMCACHED_SERVERS": "unix:/run/service-shop.staging-memcached/memcached.sock",
            },
        ),
        (
            Account("rabbitmq", "shop", PASSWORD),
            {
                "CONFIG_RABBITMQ_HOST": "127.0.0.1",
                "CONFIG_RABBITMQ_PORT": "5672",
                "CONFIG_RABBITMQ_USER": "shop",
                "CONFIG_RABBITMQ_PASSWORD": PASSWORD,
                "CONFIG_RABBITMQ_VHOST": "shop",
                "AMQP_URL": f"amqp://shop:{PASSWORD}@127.0.0.1:5672/shop",
                "CLOUDAMQP_URL": f"amqp://shop:{PASSWORD}@127.0.0.1:5672/shop",
            },
        ),
        (
            Account("mongodb", "shop", url="mongodb://alice:secret@a.example.com:27017,b.example.com/orders?w=1"),
            {
                "CONFIG_MONGODB_DB": "orders",
                "CONFIG_MONGODB_HOST": "a.example.com:27017,b.example.com",
                "CONFIG_MONGODB_USER": "alice",
                "CONFIG_MONGODB_PASSWORD": "secret",
                "MONGODB_URL": "mongodb://alice:secret@a.example.com:27017,b.example.com/orders?w=1",
                "MONGODB_URI": "mongodb://alice:secret@a.example.com:27017,b.example.com/orders?w=1",
            },
        ),
        (
            Account("couchdb", "shop", url="https://couch.example.com/orders"),
            {
                "CONFIG_COUCHDB_DB": "orders",
                "CONFIG_COUCHDB_HOST": "couch.example.com:6984",
                "CONFIG_COUCHDB_USER": "",
                "CONFIG_COUCHDB_PASSWORD": "",
                "COUCHDB_URL": "https://couch.example.com/orders",
            },
        ),
    ],
)
def test_what_an_application_is_told(account, expected):
    assert find(account.service).environ(account, "/s") == expected


@pytest.mark.parametrize("name", [name for name in names() if find(name).variables])
@pytest.mark.parametrize("url", ["", "db.example.com", "nonsense://x/y", "://", "postgresql:/", "redis:"])
def test_what_is_no_url_of_a_service(name, url):
    with pytest.raises(ValueError, match=r"begin|is not as|integer"):
        find(name).told(url)


@pytest.mark.parametrize("module", [service, development, instance, backups, mysql])
def test_the_examples_in_the_text(module):
    results = doctest.testmod(module)
    assert results.failed == 0 and results.attempted > 0


def test_to_know_of_services_takes_no_jinja2():
    """Only nodes have it; whoever reads an app.yaml need not."""
    code = (
        "import sys; sys.modules['jinja2'] = None; from buildless import service; [*map(service.find, service.names())]"
    )
    subprocess.run((sys.executable, "-c", code), check=True, timeout=60)
