"""Which services a node is asked to settle, and what becomes of a failure."""

from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from buildless.description import parse
from buildless.service import password_of
from gitdeploy.config import Config, Environment
from gitdeploy.deploy import upkeep
from gitdeploy.deploy.queue import Queue
from gitdeploy.errors import Refused
from gitdeploy.git.configvars import ConfigVars
from gitdeploy.names import Place

SECRET = "s" * 64
ENVIRONMENTS = {
    "production": Environment("production", ("web1", "web2"), services="db1"),
    "staging": Environment("staging", ("web1",)),
    "several": Environment("several", ("web1", "web2")),
}
SHOP, STAGING, SEVERAL = (Place("shop", name) for name in ENVIRONMENTS)


class FakeSite:
    """An app in each environment; `asked` are the requests, and those of `fails` are refused."""

    def __init__(self):
        self.queue, self.config, self.asked, self.fails = Queue(Clock()), Config(), [], set()

    def places(self):
        return [SHOP, STAGING, SEVERAL]

    def is_deployed(self, place):
        return True

    def environment(self, place):
        return ENVIRONMENTS[place.environment]

    def config_vars(self, place):
        return SimpleNamespace(read=lambda environment: ConfigVars())

    def key(self, place):
        return f"shop.{place.environment}"

    def node(self, name):
        return SimpleNamespace(name=name, address=f"address of {name}")

    def services_secret(self, place):
        return SECRET

    async def ask(self, node, verb, **request):
        self.asked.append((node.name, verb, request["app"], request["services"]))
        if request["app"] in self.fails:
            raise Refused("no room")
        return {"changed": []}


@pytest.fixture
def site(monkeypatch):
    described = parse(b"platform: static\nservices: {redis: {memory: 99MB}}\n")
    monkeypatch.setattr(upkeep.data, "described", lambda site, place: described)
    return FakeSite()


def settled(site, name):
    found = []
    Deferred.fromCoroutine(upkeep.settle_services(site, site.node(name))).addCallback(found.append)
    return found[0]


def wanted(host="", clients=()):
    memory = {"memory": ("99MB",)}
    return [
        {
            "service": "redis",
            "password": password_of(SECRET, "redis"),
            "options": memory,
            "host": host,
            "clients": clients,
        }
    ]


def test_a_node_is_asked_for_what_live_releases_want_of_it(site):
    """In `several` nobody says on which node services are: a push is refused with that, and there is nothing to settle."""
    clients = ("address of web1", "address of web2")
    assert settled(site, "db1") == []
    assert site.asked == [("db1", "settle_services", "shop.production", wanted("address of db1", clients))]
    site.asked.clear()
    assert settled(site, "web1") == []
    assert site.asked == [("web1", "settle_services", "shop.staging", wanted())]


def test_what_failed_is_for_another_time_and_keeps_nothing_else_from_it(site):
    site.places, site.fails = lambda: [STAGING, Place("bank", "staging")], {"shop.staging"}
    site.key = lambda place: f"{place.app}.{place.environment}"
    assert settled(site, "web1") == [STAGING]
    assert [app for _, _, app, _ in site.asked] == ["shop.staging", "bank.staging"]
