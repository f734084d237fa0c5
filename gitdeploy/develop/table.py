"""The commands of this package by name."""

from __future__ import annotations

from collections.abc import Mapping

from . import check, create_config, init, run, schema, serve, vendor
from .call import DevelopSpec

SPECS = (init.SPEC, serve.SPEC, *run.SPECS, create_config.SPEC, check.SPEC, vendor.SPEC, schema.SPEC)
DEVELOP: Mapping[str, DevelopSpec] = {spec.name: spec for spec in SPECS}
