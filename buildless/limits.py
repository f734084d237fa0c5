"""The numbers a web process lives by, in one place, so that nodes, development and tests differ in values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WebLimits:
    """What the web process type of one release may use; the defaults are the measured ones (docs/design.rst).

    JSON there and back:

    >>> import json
    >>> from dataclasses import asdict
    >>> WebLimits(**json.loads(json.dumps(asdict(WebLimits(threads=2))))) == WebLimits(threads=2)
    True
    """

    processes: int = 4
    """Worker processes; one that wedges or dies leaves the others answering."""

    threads: int = 5
    """Threads of each process, and so the requests that it accepts at a time."""

    request: float = 5.0
    """Seconds that the application may take before its answer begins, and for each further piece of it."""

    stop: float = 2.0
    """Seconds that the other requests of a process get to finish after one of them is over `request`."""

    memory: int = 300_000_000
    """Bytes of data (RLIMIT_DATA) of each process; past them the application sees MemoryError."""

    recycle: int = 200_000_000
    """Bytes of resident memory above which a process is replaced once it has finished what it accepted."""

    boot: float = 60.0
    """Seconds from the start of a process during which `request` does not count: first requests import and connect."""

    shed: float = 8.0
    """Seconds since X-Request-Start after which a request is answered 503: whoever asked has given up."""

    max_requests: int = 5000
    """Requests after which a process is replaced; 0 is never."""

    max_requests_jitter: int = 500
    """At most so many requests more, by chance, so that processes are not replaced at the same time."""

    linger: float = 0.0
    """Seconds without a request after which a release that is not live ends by itself; 0 is never."""
