"""The commands of this package by name."""

from __future__ import annotations

from collections.abc import Mapping

from . import create_node, destroy_node, list_nodes, list_offers, power_node, setup_node, setup_server
from .call import LocalSpec

SPECS = (
    create_node.SPEC,
    setup_node.SPEC,
    list_nodes.SPEC,
    *power_node.SPECS,
    destroy_node.SPEC,
    *list_offers.SPECS,
    setup_server.SPEC,
)
LOCAL: Mapping[str, LocalSpec] = {spec.name: spec for spec in SPECS}
