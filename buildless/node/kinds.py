"""The process types of a release, by its record: names and paths are checked here before they get into a unit or a path."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from buildless.errors import NodeError
from buildless.node.layout import AppLayout
from buildless.processes import MOST, WEB, Process, process_name, url_place


def of(record: Mapping[str, Any]) -> Dict[str, Process]:
    """The process types beside the web process, which `record` names; what they run is said in the tree. Raises NodeError."""
    found = {}
    try:
        for name, said in record.get("processes", {}).items():
            path = url_place(said["path"]) if said["path"] is not None else None
            found[process_name(name)] = Process((), path, number(said["count"]))
    except ValueError as error:
        raise NodeError(f"{error}; deploy it again") from error
    return found


def answering(record: Mapping[str, Any]) -> Dict[str, str]:
    """The process types that answer requests: where a release has the socket of each, without ``.sock``."""
    found = {WEB: WEB} if record.get("runs") else {}
    return {**found, **{name: one.place for name, one in of(record).items() if one.place is not None}}


def workers(record: Mapping[str, Any], counts: Mapping[str, int]) -> Dict[str, int]:
    """How many of each worker there are to be; `counts` says otherwise than the application itself."""
    return {name: number(counts.get(name, one.count)) for name, one in of(record).items() if one.path is None}


def number(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST:
        raise NodeError(f"{count!r} is no number of workers; it must be from 0 to {MOST}")
    return count


def sockets(home: AppLayout, release: str, record: Mapping[str, Any]) -> Dict[str, str]:
    """Where the processes that were started for a release listen on a machine, by process type."""
    return {name: str(home.socket(release, name)) for name in answering(record)}
