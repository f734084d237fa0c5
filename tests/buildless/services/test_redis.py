from pathlib import Path

import pytest

from buildless.service import Account
from buildless.services.redis import SERVICE, configuration

PASSWORD = "0123456789abcdef" * 3


def test_its_configuration():
    assert configuration(Account("redis", "shop", PASSWORD), 20000, Path("/d"), 64_000_000) == (
        f"bind 127.0.0.1\nport 20000\nrequirepass {PASSWORD}\ndir /d\ndbfilename dump.rdb\nsave 900 1 300 10 60 10000\n"
        "appendonly no\ndaemonize no\nsupervised systemd\n"
        'rename-command CONFIG ""\nrename-command DEBUG ""\nrename-command MODULE ""\nrename-command REPLICAOF ""\n'
        'rename-command SLAVEOF ""\nmaxmemory 64000000\nmaxmemory-policy allkeys-lru\n'
    )


def test_for_other_nodes_it_listens_everywhere_and_the_packet_filter_says_who_may_come():
    text = configuration(
        Account("redis", "shop", PASSWORD, host="10.0.0.9", clients=("10.0.0.1",)), 20000, Path("/d"), 0
    )
    assert text.startswith("bind * -::*\n") and "maxmemory" not in text


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (("64MB",), None),
        (("1 GB",), None),
        (("64",), "memory: '64' is no size; write such as 64MB or 1GB"),
        (("64MB", "1GB"), "memory: write one size, such as 64MB"),
    ],
)
def test_memory(said, problem):
    assert SERVICE.problem({"memory": said}) == problem
