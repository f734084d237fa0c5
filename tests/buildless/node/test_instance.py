"""Servers that each app has for itself."""

from buildless import ports
from buildless.node import instance


def test_no_port_of_a_server_is_one_that_a_users_number_says():
    taken = {port for uid in ports.USERS for port in ports.ports_of(uid)}
    assert taken.isdisjoint(instance.PORTS)
