"""Providers in gitdeploy.yaml: settings find their place, wrong ones are told."""

import pytest

from gitdeploy.errors import ConfigError, NotFound
from gitdeploy.nodes import providers
from gitdeploy.nodes.nspawn import NspawnNodeDriver

EC2 = {"driver": "ec2", "key": "AK", "secret": "SK"}


def told(settings):
    with pytest.raises(ConfigError) as caught:
        providers.connect("p", settings)
    return str(caught.value).removeprefix("providers.p in gitdeploy.yaml: ")


def test_settings_find_their_place():
    choice = providers.choose("amazon", {
        **EC2, "region": "eu-central-1", "host": "127.0.0.1", "port": "5000", "secure": "false", "login": "admin",
        "ex_security_groups": "web, ssh", "ex_assign_public_ip": "yes", "location": "eu-central-1a",
    })  # fmt: skip
    assert choice.made_with == {
        "key": "AK", "secret": "SK", "region": "eu-central-1", "host": "127.0.0.1", "port": 5000, "secure": False
    }  # fmt: skip
    assert choice.each == {"ex_security_groups": ["web", "ssh"], "ex_assign_public_ip": True}
    assert (choice.driver.type, choice.login, choice.location) == ("ec2", "admin", "eu-central-1a")
    assert providers.choose("amazon", EC2).login == "root"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "there is no driver; write one as libcloud calls it, such as driver: ec2"),
        ({"driver": "ec3"}, "there is no driver 'ec3'; did you mean ec2?"),
        ({"driver": "?"}, "there is no driver '?'; write one as libcloud calls it, such as ec2, openstack, digitalocean"),
        ({"driver": "ec2"}, "ec2 needs key; write key: ..."),
        ({**EC2, "regoin": "x"}, "ec2 knows no 'regoin'; did you mean region?"),
        ({**EC2, "region": "moon-1"}, "ec2 does not take that: Invalid region: moon-1"),
        ({**EC2, "port": "http"}, "port: 'http' is no whole number; write one"),
        ({**EC2, "secure": "perhaps"}, "secure: 'perhaps' is neither true nor false; write one of them"),
        ({"driver": "nspawn", "bridge": "a-b"}, "bridge: 'a-b' is no name for a device; write up to 15 letters and digits"),
        ({"driver": "nspawn", "network": "10.77.0.0/30"}, "network: '10.77.0.0/30' cannot be used; write addresses of IPv4"),
        ({"driver": "nspawn", "network": "fd00::/64"}, "network: 'fd00::/64' cannot be used"),
        ({"driver": "nspawn", "directory": "/a:b"}, "directory: '/a:b' cannot be used; write a whole path without , : and"),
        ({"driver": "nspawn", "cache": "relative"}, "cache: 'relative' cannot be used"),
    ],
)  # fmt: skip
def test_wrong_ones_are_told(settings, problem):
    assert told(settings).startswith(problem)


def test_the_drivers_own_settings_are_named():
    assert told({"driver": "nspawn", "zzz": "1"}) == (
        "nspawn knows no 'zzz'; it takes bridge, cache, directory, ex_metadata, key, location, login, network"
    )


def test_drivers_of_several_versions_take_what_these_take():
    found, open_ended = providers.parameters(providers.driver_class("here", "digitalocean"))
    assert {"key", "api_version"} <= set(found) and open_ended in (True, False)
    assert providers.choose("do", {"driver": "digitalocean", "key": "token"}).made_with == {"key": "token"}


def test_ours_is_one_of_them(tmp_path):
    cloud = providers.connect(
        "local", {"driver": "nspawn", "directory": str(tmp_path / "n"), "network": "10.80.0.1/24"}
    )
    assert isinstance(cloud.driver, NspawnNodeDriver) and cloud.login == "root"
    assert str(cloud.driver.wiring.network.subnet) == "10.80.0.0/24" and cloud.machines() == []


def test_which_provider_is_meant():
    two = {"a": {}, "amazon": {}}
    assert providers.only({"local": {}}, None) == "local" and providers.only(two, "a") == "a"
    with pytest.raises(ConfigError, match="there are 2 providers; choose one: --provider a, amazon"):
        providers.only(two, None)
    with pytest.raises(NotFound, match="did you mean amazon"):
        providers.only(two, "amazn")
    with pytest.raises(ConfigError, match=r"write one under providers: in gitdeploy.yaml"):
        providers.only({}, None)
