"""Where nodes get packages from: read off the machine that they run on."""

import pytest

from gitdeploy.errors import Refused
from gitdeploy.nodes import sources
from gitdeploy.nodes.sources import Sources

DEB822 = """\
Types: deb
# http://old.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/x.gpg arch=amd64] https://deb.example/debian bookworm main contrib
deb-src http://deb-src.example/debian bookworm main
deb http://deb.example/debian-security bookworm-security main
"""
OTHERS = """\
deb https://download.docker.com/linux/debian bookworm stable
deb https://packages.cloud.google.com/apt cloud-sdk-bookworm main
deb cdrom:[Debian]/ bookworm main
"""


def test_both_formats_are_read():
    assert sources.mirrors([DEB822]) == ("http://mirror.example/debian", "http://mirror.example/debian-security")
    assert sources.mirrors([ONE_LINE]) == ("https://deb.example/debian", "http://deb.example/debian-security")


def test_what_is_not_debian_is_left_out():
    for text in (OTHERS, DEB822.replace("Types: deb", "Enabled: no\nTypes: deb")):
        with pytest.raises(Refused, match="names no mirror of Debian to make nodes from"):
            sources.mirrors([text])


def test_security_updates_are_beside_the_archive_where_nobody_says_otherwise():
    assert sources.mirrors(["deb http://a.example/debian bookworm main\n"]) == (
        "http://a.example/debian",
        "http://a.example/debian-security",
    )


def test_a_node_gets_its_own_suite_from_these_mirrors():
    assert Sources("http://a.example/debian", "http://s.example/debian-security").list("trixie") == (
        "deb http://a.example/debian trixie main\n"
        "deb http://a.example/debian trixie-updates main\n"
        "deb http://s.example/debian-security trixie-security main\n"
    )


def test_how_apt_gets_packages_goes_along_and_nothing_else(tmp_path):
    dumped = (
        'APT "";\nAcquire::http::Proxy "http://proxy.example:3142";\nAcquire::Check-Date "false";\n'
        'DPkg::Post-Invoke:: "rm -rf /";\nAcquire::IndexTargets::deb::DEP-11 "";\n'
    )
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").write_text(ONE_LINE)
    found = sources.read(dumped, tmp_path)
    assert found.apt == ('Acquire::http::Proxy "http://proxy.example:3142";', 'Acquire::Check-Date "false";')
    assert (found.archive, found.proxy()) == ("https://deb.example/debian", "http://proxy.example:3142")
    assert Sources("a", "s", ('Acquire::http::Proxy "DIRECT";',)).proxy() is None and Sources("a", "s").proxy() is None


def test_a_name_server_that_only_this_machine_reaches_is_none(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text("nameserver 127.0.0.53\noptions edns0\n")
    assert sources.read_resolvers(tmp_path) == "options edns0\n"
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    (tmp_path / "run/systemd/resolve/resolv.conf").write_text("nameserver 192.0.2.53\n")
    assert sources.read_resolvers(tmp_path) == "nameserver 192.0.2.53\n"
    (tmp_path / "etc/resolv.conf").write_text("search example.com\nnameserver 192.0.2.1\n")
    assert sources.read_resolvers(tmp_path) == "search example.com\nnameserver 192.0.2.1\n"
