"""How a new machine learns who may log in: each driver has its own way to be given a public key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from libcloud.compute.base import NodeAuthSSHKey, NodeDriver

from ..errors import Refused

USER_DATA = ("ex_userdata", "ex_user_data")


def handed(driver: Any, takes: Mapping[str, object], login: str, key: str) -> dict[str, Any]:
    """The arguments of ``create_node`` that let `login` in with `key`. A key pair is registered once, then used again.

    `takes` are the names of its arguments. Raises Refused for a driver whose way we do not know.
    """
    values: dict[str, Any] = {name: user_data(login, key) for name in USER_DATA if name in takes}
    if "ex_keyname" in takes:
        return {**values, "ex_keyname": pair(driver, key).name}
    if "ssh_key" in getattr(driver, "features", {}).get("create_node", ()):
        return {**values, "auth": NodeAuthSSHKey(key)}
    if "ex_ssh_key_ids" in takes:
        return {**values, "ex_ssh_key_ids": [pair(driver, key).extra["id"]]}
    if "ex_authorized_keys" in takes:
        return {**values, "ex_authorized_keys": [key]}
    if values:
        return values
    raise Refused(
        f"gitdeploy does not know how {driver.name} gives a machine a key; create it there, then: create-node NAME --from HOST"
    )


def pair(driver: Any, key: str) -> Any:
    """The key pair at the provider that is called after the key."""
    name = pair_name(key)
    for one in driver.list_key_pairs():
        if one.name == name:
            return one
    if type(driver).import_key_pair_from_string is not NodeDriver.import_key_pair_from_string:
        return driver.import_key_pair_from_string(name, key)
    return driver.create_key_pair(name, key)


def pair_name(key: str) -> str:
    """``gitdeploy-`` and a fingerprint in hexadecimal digits, which every provider takes in a name."""
    return f"gitdeploy-{hashlib.sha256(base64.b64decode(key.split()[1])).hexdigest()[:32]}"


def user_data(login: str, key: str) -> str:
    """What cloud-init reads at the first boot: `login` may log in with `key`, and may become root."""
    user: dict[str, object] = {"name": login, "ssh_authorized_keys": [key]}
    if login != "root":
        user |= {"sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash", "lock_passwd": True}
    document = {"disable_root": login != "root", "users": ["default", user]}
    return f"#cloud-config\n{json.dumps(document, indent=1)}\n"
