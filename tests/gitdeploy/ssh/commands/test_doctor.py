"""What doctor makes of what a machine says of itself."""

import pytest

from gitdeploy.nodes.fleet import Machine
from gitdeploy.ssh.commands.doctor import findings

WEB1 = Machine("web1", "192.0.2.1", setup="abc")
WELL = {
    "setup": "abc", "clock": 1000.5, "failed_units": [], "nginx_ok": True, "disk": {"bytes": 10**10}, "debian": "12.4",
    "reboot_required": False, "in_service": True,
}  # fmt: skip


def found(machine=WEB1, **differs):
    return list(findings(machine, {**WELL, **differs}, "abc", 1000.0))


def test_a_machine_that_is_well_has_no_findings():
    assert found() == []
    assert list(findings(WEB1, {**WELL, "setup": "old"}, None, 1000.0)) == []  # nobody says which it should have


@pytest.mark.parametrize(
    ("differs", "says"),
    [
        (
            {"setup": "old"},
            "it is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node web1",
        ),
        ({"clock": 1100.0}, "its clock is 100 s ahead of the server's; on it, run: timedatectl set-ntp true"),
        ({"clock": 400.0}, "its clock is 600 s behind the server's; on it, run: timedatectl set-ntp true"),
        ({"failed_units": ["a.service"]}, "a.service has failed; on it, look at: journalctl -u a.service"),
        ({"nginx_ok": False}, "nginx does not take its configuration; on it, look at: nginx -t"),
        ({"debian": "11.9"}, "it runs Debian 11.9; gitdeploy is tested with 12 and 13"),
        (
            {"disk": {"bytes": 5 * 10**8}},
            "500.0 MB are free on its disk; keep fewer versions (keep: versions in gitdeploy.yaml), or make room",
        ),
        (
            {"reboot_required": True},
            "it wants to be rebooted; run: nodes:drain web1, reboot it, then: nodes:resume web1",
        ),
        (
            {"in_service": False},
            "it is not up to date, and gets no requests from a balancer until it is; the server's log says why",
        ),
    ],
)
def test_each_finding_says_what_to_do(differs, says):
    assert found(**differs) == [says]


def test_a_drained_one_is_out_of_service_on_purpose():
    drained = Machine("web1", "192.0.2.1", setup="abc", drained=True)
    assert found(drained, in_service=False) == ["it is drained; when it is to get requests again: nodes:resume web1"]


def test_a_balancer_has_haproxy_and_no_nginx():
    balancer = Machine("lb1", "192.0.2.8", setup="abc", roles=("balancer",))
    assert found(balancer, nginx_ok=False, haproxy_ok=True, in_service=False) == []
    assert found(balancer, nginx_ok=False) == []  # it was set up before it could say how haproxy is
    assert found(balancer, nginx_ok=False, haproxy_ok=False) == [
        "haproxy does not run, or does not take its configuration; on it, look at: haproxy -c -f /etc/haproxy/haproxy.cfg,"
        " and: journalctl -u haproxy"
    ]
    assert found(haproxy_ok=False) == []
    assert found(balancer, reboot_required=True) == [
        "it wants to be rebooted; nobody is answered meanwhile: on it, run: reboot"
    ]


def test_one_that_no_environment_lists_is_out_of_service_on_purpose():
    assert list(findings(WEB1, {**WELL, "in_service": False}, "abc", 1000.0, False)) == []
