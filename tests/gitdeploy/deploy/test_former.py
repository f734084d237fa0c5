"""What a node has from before an app was destroyed."""

from types import SimpleNamespace

import pytest

from gitdeploy.config import Config, Environment
from gitdeploy.deploy.former import is_over, place_of, serves
from gitdeploy.deploy.journal import Journal
from gitdeploy.git.repository import Repository
from gitdeploy.names import Place

SHOP = Place("shop", "production")


class Site(SimpleNamespace):
    """A journal and a repository, both real ones."""

    def repository(self, app):
        return Repository(self.home / f"{app}.git")


@pytest.fixture
def site(tmp_path):
    nodes = {"production": ("web1",), "staging": ("embedded",)}
    config = Config(environments={name: Environment(name, nodes=found) for name, found in nodes.items()})
    made = Site(home=tmp_path, config=config, clock=[0.0])
    made.journal = Journal(tmp_path / "deploys", lambda: made.clock[0])
    return made


def ends(site, result, when):
    site.clock[0] = when
    entry = site.journal.begin("shop", "production", user="alice", source="git push")
    entry.end(result)
    entry.close()


def made(*times):
    return {"releases": [{"release": f"v{number}", "time": time} for number, time in enumerate(times, 1)]}


def test_what_is_older_than_the_end_of_an_app_is_of_an_earlier_life(site):
    ends(site, "live", 10.0)
    assert not is_over(site, SHOP, made(10.0)), "it was never destroyed"
    ends(site, "destroyed", 20.0)
    ends(site, "live", 30.0)
    assert is_over(site, SHOP, made(10.0))
    assert not is_over(site, SHOP, made(10.0, 30.0)) and not is_over(site, SHOP, made(30.0))


def test_data_alone_are_of_an_earlier_life_only_while_there_is_no_other_one(site):
    ends(site, "destroyed", 20.0)
    assert is_over(site, SHOP, made())
    repository = site.repository("shop")
    repository.create()
    commit = repository.path / "refs/namespaces/production/refs/heads/master"
    commit.parent.mkdir(parents=True)
    commit.write_text("0" * 39 + "1\n")
    assert not is_over(site, SHOP, made())


def test_whose_a_name_on_nodes_is_and_who_serves(site):
    assert place_of(site, "shop") == SHOP and place_of(site, "shop.staging") == Place("shop", "staging")
    assert serves(site, "web1") and serves(site, "embedded") and not serves(site, "web2")
