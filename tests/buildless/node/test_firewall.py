from dataclasses import replace

import pytest

from buildless.errors import NodeError
from buildless.node import accounts, firewall, tool
from buildless.node.layout import Layout
from buildless.node.owners import user_name
from buildless.service import Account

NODES = ("10.0.0.1", "10.0.0.2")


def test_each_port_is_open_to_those_who_need_it():
    accounts = [
        Account("postgresql", "shop", host="10.0.0.9", clients=NODES),
        Account("postgresql", "bank", host="10.0.0.9", clients=("10.0.0.2", "fd00::7")),
        Account("redis", "shop", host="10.0.0.9", port=25000, clients=NODES),
        Account("redis", "local", port=25001),
        Account("files", "local"),
    ]
    numbers = {"postgres": 107, user_name("shop"): 990}
    assert firewall.rules(accounts, numbers.get) == (
        "table inet gitdeploy_services\n"
        "delete table inet gitdeploy_services\n"
        "table inet gitdeploy_services {\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        '    iif "lo" accept\n'
        "    ip saddr 10.0.0.1 tcp dport 5432 accept\n"
        "    ip saddr 10.0.0.2 tcp dport 5432 accept\n"
        "    ip6 saddr fd00::7 tcp dport 5432 accept\n"
        "    tcp dport 5432 drop\n"
        "    ip saddr 10.0.0.1 tcp dport 25000 accept\n"
        "    ip saddr 10.0.0.2 tcp dport 25000 accept\n"
        "    tcp dport 25000 drop\n"
        "    tcp dport 25001 drop\n"
        "  }\n"
        "  chain output {\n"
        "    type filter hook output priority filter; policy accept;\n"
        "    tcp sport 5432 tcp flags & syn == syn meta skuid != 107 drop\n"
        "    tcp sport 25000 tcp flags & syn == syn meta skuid != 990 drop\n"
        "  }\n"
        "}\n"
    )


def test_rules_that_were_not_loaded_are_loaded_the_next_time(programs, layout, monkeypatch):
    programs.add("nft")
    monkeypatch.setitem(tool.ENVIRON, "PATH", str(programs.where))
    account = Account("postgresql", "shop", host="10.0.0.9", clients=NODES)
    programs.answer("nft", code=1)
    with pytest.raises(NodeError, match="nft"):
        firewall.install(layout, [account])
    programs.answer("nft")
    firewall.install(layout, [account])
    assert [call[0] for call in programs.calls] == ["nft", "nft", "systemctl", "systemctl"]


def test_nodes_that_an_environment_has_no_more_are_not_let_in(programs, layout, monkeypatch):
    programs.add("nft")
    monkeypatch.setitem(tool.ENVIRON, "PATH", str(programs.where))
    text = layout.accounts.parent / "services.nft"
    account = Account("postgresql", "shop", host="10.0.0.9", clients=NODES)
    accounts.keep(layout.app("shop"), account)
    firewall.install(layout, [replace(account, clients=("10.0.0.2",))])
    assert "10.0.0.1" not in text.read_text() and "10.0.0.2" in text.read_text()
    firewall.install(layout, [replace(account, host="", clients=())])
    assert "10.0.0" not in text.read_text() and "tcp dport 5432 drop" in text.read_text()


def test_an_app_may_be_called_after_anything(tmp_path):
    layout = Layout(tmp_path)
    layout.ports.mkdir(parents=True)
    accounts.keep(layout.app("ports"), Account("redis", "ports", host="10.0.0.9", port=25000))
    assert [one.app for one in accounts.everybody(layout)] == ["ports"]
