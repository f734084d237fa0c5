"""HAProxy's configuration from environments and machines, and whom a node's nginx believes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gitdeploy.errors import Refused
from gitdeploy.nodes.balancer import Pool, haproxy, trust
from gitdeploy.nodes.fleet import Machine

WEB1, WEB2, WEB6 = Machine("web1", "192.0.2.1"), Machine("web2", "web2.example.net"), Machine("web6", "2001:db8::6")
PRODUCTION = Pool("production", ("production.example.com",), (WEB1, WEB2), default=True)
STAGING = Pool("staging", ("staging.example.com",), (WEB2,))
DEMO = Pool("demo", ("demo.example.org", "example.org"), (WEB6,))

ROUTES = """\
    acl production_serves srv_is_up(production/web1)
    acl production_serves srv_is_up(production/web2)
    acl staging_serves srv_is_up(staging/web2)
    acl demo_serves srv_is_up(demo/web6)
    use_backend staging_any if { var(txn.host) -m end .staging.example.com } !staging_serves
    use_backend staging if { var(txn.host) -m end .staging.example.com }
    use_backend demo_any if { var(txn.host) -m end .demo.example.org } !demo_serves
    use_backend demo if { var(txn.host) -m end .demo.example.org }
    use_backend demo_any if { var(txn.host) -m end .example.org } !demo_serves
    use_backend demo if { var(txn.host) -m end .example.org }
    use_backend production_any if !production_serves
    default_backend production

# Nodes of production that are in service.
backend production
    balance roundrobin
    option httpchk GET /.gitdeploy/ping
    http-check expect status 200
    server web1 192.0.2.1:80 check
    server web2 web2.example.net:80 check

# When none is, as after a power cut, before the server has brought them up to date: those whose nginx answers at all.
backend production_any
    balance roundrobin
    option httpchk GET /.gitdeploy/ping
    http-check expect rstatus ^(200|503)$
    server web1 192.0.2.1:80 check
    server web2 web2.example.net:80 check
"""


def test_each_environment_has_its_hosts_and_the_default_one_all_others() -> None:
    text = haproxy([PRODUCTION, STAGING, DEMO])
    assert ROUTES in text
    assert "server web6 [2001:db8::6]:80 check" in text
    assert "no_environment" not in text


def test_without_the_default_environment_the_others_are_nowhere() -> None:
    text = haproxy([STAGING])
    assert "    default_backend no_environment\n" in text
    assert text.endswith(
        "backend no_environment\n"
        "    http-request return status 404 content-type text/plain"
        ' string "There is no application at this address.\\n"\n'
    )


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
@pytest.mark.parametrize("pools", [[PRODUCTION, STAGING, DEMO], [STAGING], []])
def test_haproxy_takes_it(pools: list[Pool], tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(haproxy(pools))
    subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], check=True)


def test_no_address_gets_a_second_line_into_it() -> None:
    with pytest.raises(Refused, match="the address of web1, is none"):
        haproxy([Pool("production", (), (Machine("web1", "192.0.2.1\n    daemon"),), default=True)])
    with pytest.raises(Refused):
        trust([Machine("lb1", "192.0.2.1; deny all")])


def test_an_environment_without_nodes_is_refused() -> None:
    with pytest.raises(Refused, match="production has no nodes"):
        haproxy([Pool("production", (), (), default=True)])


def test_a_node_believes_its_balancers_and_nobody_else() -> None:
    text = trust([Machine("lb1", "192.0.2.9"), Machine("lb2", "192.0.2.8")])
    assert "\nset_real_ip_from 192.0.2.8;\nset_real_ip_from 192.0.2.9;\nreal_ip_header X-Forwarded-For;\n" in text
    assert "set_real_ip_from" not in trust([])
