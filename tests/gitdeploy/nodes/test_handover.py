"""How a driver is given our key: each in its own way, and a key pair once."""

import json
from types import SimpleNamespace

import pytest
from libcloud.compute.base import KeyPair, NodeDriver

from gitdeploy.errors import Refused
from gitdeploy.nodes import handover

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPd6z3u10T8Ev97cJISrmpqv3fgYVj/vtpWjEuQNFkeL gitdeploy setup"
NAME = handover.pair_name(KEY)


class WithPairs(NodeDriver):
    """Keeps key pairs."""

    name = "pairs"
    features = {"create_node": ["ssh_key"]}

    def __init__(self):
        self.pairs, self.imported = [], 0

    def list_key_pairs(self):
        return self.pairs

    def import_key_pair_from_string(self, name, key_material):
        self.imported += 1
        self.pairs.append(KeyPair(name, key_material, "fingerprint", self, extra={"id": 7}))
        return self.pairs[-1]


class CreatesPairs(WithPairs):
    """As DigitalOcean's: it has another name for it."""

    import_key_pair_from_string = NodeDriver.import_key_pair_from_string

    def create_key_pair(self, name, public_key=""):
        return WithPairs.import_key_pair_from_string(self, name, public_key)


def test_by_the_name_of_a_key_pair_which_is_registered_once():
    driver = WithPairs()
    for _ in range(2):
        handed = handover.handed(driver, {"ex_keyname": None, "auth": None, "ex_userdata": None}, "admin", KEY)
        assert handed == {"ex_keyname": NAME, "ex_userdata": handover.user_data("admin", KEY)}
    assert driver.imported == 1 and [pair.public_key for pair in driver.pairs] == [KEY]
    assert NAME.startswith("gitdeploy-") and len(NAME) == 42


def test_by_libclouds_own_way():
    handed = handover.handed(WithPairs(), {"auth": None}, "root", KEY)
    assert handed["auth"].pubkey == KEY and list(handed) == ["auth"]


def test_by_the_numbers_of_keys():
    driver = CreatesPairs()
    driver.features = {}
    takes = {"ex_ssh_key_ids": None, "ex_user_data": None}
    assert handover.handed(driver, takes, "root", KEY)["ex_ssh_key_ids"] == [7]
    assert driver.imported == 1


def test_by_a_list_of_keys():
    assert handover.handed(SimpleNamespace(), {"ex_authorized_keys": None}, "root", KEY) == {
        "ex_authorized_keys": [KEY]
    }


def test_a_way_that_we_do_not_know_is_said():
    with pytest.raises(Refused, match=r"does not know how Odd gives a machine a key; .*--from HOST"):
        handover.handed(SimpleNamespace(name="Odd"), {"name": None}, "root", KEY)


def test_user_data_is_what_cloud_init_reads():
    first, _, document = handover.user_data("admin", KEY).partition("\n")
    assert first == "#cloud-config"
    assert json.loads(document) == {
        "disable_root": True,
        "users": ["default", {
            "name": "admin", "ssh_authorized_keys": [KEY], "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash",
            "lock_passwd": True,
        }],
    }  # fmt: skip
    root = json.loads(handover.user_data("root", KEY).partition("\n")[2])
    assert root == {"disable_root": False, "users": ["default", {"name": "root", "ssh_authorized_keys": [KEY]}]}
