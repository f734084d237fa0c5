import re
from dataclasses import asdict
from pathlib import Path

import pytest

from buildless.errors import NodeError
from buildless.limits import WebLimits
from buildless.node import units
from buildless.node.layout import Layout

WEB = {"runs": True, "web": asdict(WebLimits())}
SHOP = Layout(Path("/")).app("shop.staging")


def test_the_socket_of_an_app():
    assert units.units(SHOP, WEB)[Path("/etc/systemd/system/app-shop.staging-web@.socket")] == (
        "# Written by gitdeploy for the app shop.staging; changes are lost with its next deploy.\n"
        "[Unit]\n"
        "Description=shop.staging %i: where its web processes listen\n"
        "StartLimitIntervalSec=0\n"
        "\n"
        "[Socket]\n"
        "ListenStream=/run/apps/shop.staging/%i.sock\n"
        "SocketGroup=www-data\n"
        "SocketMode=0660\n"
        "DirectoryMode=0711\n"
        "Backlog=2048\n"
        "RemoveOnStop=yes\n"
        "TriggerLimitIntervalSec=0\n"
    )


def test_the_service_of_an_app():
    text = units.units(SHOP, WEB)[Path("/etc/systemd/system/app-shop.staging-web@.service")]
    assert (
        text
        == """\
# Written by gitdeploy for the app shop.staging; changes are lost with its next deploy.
[Unit]
Description=shop.staging %i: its web processes
Requires=app-shop.staging-web@%i.socket
After=app-shop.staging-web@%i.socket network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
User=app-shop_staging
Group=app-shop_staging
UMask=0027
ExecStart=/usr/lib/gitdeploy/web /srv/apps/shop.staging/releases/%i
ExecStop=/usr/bin/python3 -I /usr/lib/gitdeploy/buildless/drain.py /run/apps/shop.staging/%i.sock
SyslogIdentifier=shop.staging
Restart=on-failure
RestartSec=200ms
TimeoutStartSec=75
TimeoutStopSec=65
KillMode=mixed
OOMPolicy=continue
MemoryMax=1500000000

NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
InaccessiblePaths=-/run/gitdeploy -/etc/nginx/gitdeploy -/var/log/nginx
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

# Of all apps it sees itself alone, and may write only what is its own.
TemporaryFileSystem=/srv/apps:ro /var/cache/apps:ro /var/lib/apps:ro /var/log/apps:ro
BindReadOnlyPaths=/srv/apps/shop.staging
BindPaths=/var/cache/apps/shop.staging /var/lib/apps/shop.staging -/var/lib/apps/.shared/shop.staging /var/log/apps/shop.staging
"""
    )


@pytest.mark.parametrize("value", ["1\nExecStartPre=/bin/sh", None, True, -1, float("nan"), [5]])
@pytest.mark.parametrize("name", ["processes", "memory", "boot"])
def test_a_limit_that_is_no_number_gets_into_no_unit(name, value):
    with pytest.raises(NodeError, match=f"the limit {name} is .* no number"):
        units.units(SHOP, {**WEB, "web": {**WEB["web"], name: value}})


@pytest.mark.parametrize(
    "name", ["", "Shop", "../etc", "shop/x", "a b", "shop\n", "shop%i", "-x", "a.b.c", "{{x}}", "_"]
)
def test_a_name_that_is_none_gets_nowhere(name):
    with pytest.raises(NodeError, match="is no name of an app here"):
        Layout(Path("/")).app(name)


def test_a_name_that_is_too_long_for_a_socket():
    with pytest.raises(NodeError, match=r"is 2 characters too long for a socket; name the app shorter"):
        units.units(Layout(Path("/")).app("a" * 36 + "." + "b" * 37), WEB)


def test_units_are_written_when_they_change_and_only_then(programs, layout):
    app = layout.app("shop")
    units.install(app, WEB)
    assert programs.calls == [["systemctl", "daemon-reload"]]
    assert sorted(path.name for path in layout.units.iterdir()) == ["app-shop-web@.service", "app-shop-web@.socket"]
    units.install(app, WEB)
    assert len(programs.calls) == 1
    units.install(app, {**WEB, "web": {**WEB["web"], "memory": 1000}})
    assert len(programs.calls) == 2
    assert re.search("MemoryMax=5000$", (layout.units / "app-shop-web@.service").read_text(), re.MULTILINE)
    units.remove(app)
    units.remove(app)
    assert list(layout.units.iterdir()) == [] and len(programs.calls) == 3


TYPES = {"chat": {"path": "/chat", "count": 1}, "mail-in": {"path": None, "count": 2}}


def test_the_units_of_further_process_types():
    found = {path.name: text for path, text in units.units(SHOP, {**WEB, "processes": TYPES}).items()}
    assert sorted(found) == [
        "app-shop.staging-web@.service",
        "app-shop.staging-web@.socket",
        "app-shop.staging_chat@.service",
        "app-shop.staging_chat@.socket",
        "app-shop.staging_mail-in@.service",
    ]
    chat, worker = found["app-shop.staging_chat@.service"], found["app-shop.staging_mail-in@.service"]
    assert "\nExecStart=/usr/lib/gitdeploy/process chat %i /srv/apps/shop.staging/releases\n" in chat
    assert "\nRequires=app-shop.staging_chat@%i.socket\n" in chat and "\nRestart=on-failure\n" in chat
    assert "\nAssertPathExists=/run/gitdeploy/ports\n" in chat
    assert "\nListenStream=/run/apps/shop.staging/%i-chat.sock\n" in found["app-shop.staging_chat@.socket"]
    assert "socket" not in worker and "\nRestart=always\n" in worker and "\nTimeoutStopSec=30\n" in worker
    hardened = found["app-shop.staging-web@.service"].partition("\nNoNewPrivileges=yes\n")[2]
    assert hardened and chat.endswith(hardened) and worker.endswith(hardened)


def test_a_command_is_started_with_the_firewall_alone():
    [text] = [text for path, text in units.units(SHOP, {**WEB, "gunicorn": False}).items() if path.suffix == ".service"]
    assert "AssertPathExists=/run/gitdeploy/ports" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x\nExecStart=/bin/sh", {"path": None, "count": 1}),
        ("web", {"path": None, "count": 1}),
        ("../x", {"path": "/x", "count": 1}),
        ("x", {"path": "/x\nUser=root", "count": 1}),
        ("x", {"path": "/../../x", "count": 1}),
        ("x", {"path": None, "count": 1000}),
        ("x", {"path": None, "count": "1"}),
    ],
)
def test_a_process_type_that_is_none_gets_into_no_unit(name, said):
    with pytest.raises(NodeError):
        units.units(SHOP, {**WEB, "processes": {name: said}})
