"""What gitdeploy.yaml may not say once there are apps: pure decisions."""

from gitdeploy import config
from gitdeploy.deploy import agreement

STAGING = config.parse(b"default_environment: staging\n")
NAMED = config.parse(b"environments: {production: , shop: , bank: }\n")


def test_the_default_environment_is_that_of_the_apps():
    assert list(agreement.disagreements(STAGING, "production", [])) == []
    assert list(agreement.disagreements(STAGING, "staging", ["shop"])) == []
    [line] = agreement.disagreements(STAGING, "production", ["shop", "bank"])
    assert line.startswith("default_environment: it was production and is staging now")
    assert "there are apps (bank, shop)" in line
    assert "write `default_environment: production` back" in line


def test_an_environment_is_no_app():
    assert list(agreement.disagreements(NAMED, "production", ["other"])) == []
    found = list(agreement.disagreements(NAMED, "production", ["shop", "bank", "other"]))
    assert [line.partition(",")[0] for line in found] == [
        "environments: bank is the name of an app",
        "environments: shop is the name of an app",
    ]
    assert found[1].endswith("call the environment otherwise, such as shop-test")


def test_environments_that_are_gone_are_told_with_their_apps():
    assert list(agreement.strays({"production": ["shop"]}, ["production", "staging"])) == []
    assert list(agreement.strays({"production": ["shop"], "qa": ["shop", "bank"]}, ["production"])) == [
        "qa is no environment any more, and bank, shop are stopped there; write it back in gitdeploy.yaml,"
        " and to be rid of it: destroy qa/bank, before it is taken out"
    ]
