"""Which environments, nodes and balancers belong to each other, from gitdeploy.yaml."""

from pathlib import Path

import pytest

from gitdeploy import config
from gitdeploy.errors import NotFound, Refused
from gitdeploy.nodes.fleet import Fleet, Logins, Machine
from gitdeploy.nodes.kit import Kit
from gitdeploy.outfit import balancers, domains, outfit, pools

SETTINGS = config.parse(
    b"""
domain: example.com
environments:
  production: {nodes: "web1, web2", balancer: lb1}
  staging: {nodes: web2, balancer: lb1}
  demo: {nodes: web1, balancer: lb2, domain: example.org}
  local: {}
"""
)
KIT = Kit(b"", ())


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path / "nodes")
    for number, name in enumerate(("web1", "web2")):
        fleet.save(Machine(name, f"192.0.2.{number + 1}"))
    for number, name in enumerate(("lb1", "lb2")):
        fleet.save(Machine(name, f"192.0.2.{number + 8}", roles=("balancer",)))
    return fleet


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    (tmp_path / "server_ed25519.pub").write_text("ssh-ed25519 AAAA gitdeploy server\n")
    return Logins(tmp_path)


def text(made: object, path: str) -> str | None:
    files = {file.path: file.content.decode() for file in made.files}  # type: ignore[attr-defined]
    return files.get(path)


def test_a_balancer_gets_the_environments_that_name_it(fleet: Fleet) -> None:
    found = [
        (pool.environment, [one.name for one in pool.machines], pool.default)
        for pool in pools(fleet.get("lb1"), SETTINGS, fleet)
    ]
    assert found == [("production", ["web1", "web2"], True), ("staging", ["web2"], False)]


def test_an_environment_has_the_hosts_below_its_domain(fleet: Fleet) -> None:
    assert domains(SETTINGS.environments["staging"], SETTINGS) == ("staging.example.com",)
    assert domains(SETTINGS.environments["demo"], SETTINGS) == ("demo.example.org", "example.org")


def test_a_node_gets_the_key_of_the_server_and_the_addresses_of_its_balancers(fleet: Fleet, logins: Logins) -> None:
    made = outfit(KIT, fleet.get("web1"), SETTINGS, fleet, logins)
    assert text(made, "etc/gitdeploy/authorized_keys") == "restrict ssh-ed25519 AAAA gitdeploy server\n"
    trusted = text(made, "etc/nginx/conf.d/gitdeploy-trust.conf")
    assert trusted is not None and "from 192.0.2.8;\nset_real_ip_from 192.0.2.9;\n" in trusted
    assert text(made, "etc/gitdeploy/haproxy.cfg") is None


def test_a_balancer_gets_its_configuration_and_its_version_follows_gitdeploy_yaml(fleet: Fleet, logins: Logins) -> None:
    before = outfit(KIT, fleet.get("lb1"), SETTINGS, fleet, logins)
    configuration = text(before, "etc/gitdeploy/haproxy.cfg")
    assert configuration is not None and "server web2 192.0.2.2:80 check" in configuration
    assert text(before, "etc/nginx/conf.d/gitdeploy-trust.conf") is None
    fleet.change("web2", address="192.0.2.7")
    assert outfit(KIT, fleet.get("lb1"), SETTINGS, fleet, logins).version != before.version
    assert outfit(KIT, fleet.get("lb2"), SETTINGS, fleet, logins).version != before.version


def test_a_node_that_is_not_there_or_runs_no_apps_is_refused(fleet: Fleet) -> None:
    fleet.save(Machine("web2", "192.0.2.2", roles=("balancer",)))
    with pytest.raises(Refused, match="web2 runs no apps, but production lists it"):
        pools(fleet.get("lb1"), SETTINGS, fleet)
    fleet.save(Machine("lb1", "192.0.2.8"))
    with pytest.raises(Refused, match="lb1 is no balancer, but production lists it under `balancer:`"):
        balancers(fleet.get("web1"), SETTINGS, fleet)
    fleet.remove("web2")
    with pytest.raises(NotFound, match=r"gitdeploy\.yaml names web2 for production, and it is not there"):
        pools(fleet.get("lb1"), SETTINGS, fleet)
