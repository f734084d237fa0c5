"""Debian packages that an app asks for, on real nodes: installed in a few lines, or refused with apt's own words."""

from __future__ import annotations

import json

import pytest

from ..functional.session import PYTHON, hello
from .traces import unchanged
from .visitor import errors, lines, says

MARKDOWN = """\
import markdown
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [markdown.markdown("*apples*").encode()]
"""
HOLD = (
    "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(100)"
)


def describe(*more):
    return PYTHON + "".join(f"{line}\n" for line in more)


def took(shop, deploy):
    """The seconds of each stage of a deploy."""
    events = json.loads(shop.server.ssh("deploys", shop.name, deploy, "--json").ok().out)
    return {event["stage"]: event["seconds"] for event in events if event["event"] == "stage-end"}


def installed(node, deb):
    return node.ssh("dpkg-query", "-W", "-f", "${db:Status-Status}", deb, check=False).strip() == "installed"


def test_what_is_missing_is_installed_and_what_is_there_costs_no_apt(shop, web):
    for node in web:
        node.ssh("apt-get", "-q", "-y", "remove", "python3-markdown", check=False, limit=120)
    shop.commit("Write markdown", {"app.yaml": describe("deb: python3-markdown"), "hello.py": MARKDOWN})
    done = shop.push(limit=180).ok()
    told = lines(done)
    assert [says(node, shop) for node in web] == ["<p><em>apples</em></p>"] * 2
    for node in web:
        assert f"       {node.name}: 1 Debian package installed: python3-markdown" in told
        assert any(
            line.startswith(f"       {node.name}: installing 1 Debian package: python3-markdown") for line in told
        )
        assert "Setting up" not in done.text
    kept = shop.server.ssh("deploys", shop.name, "d1").ok().out
    assert all(f"       {node.name}: Setting up python3-markdown (" in kept for node in web)
    shop.commit("Write more of it", {"more.txt": ""})
    done = shop.push().ok()
    assert "Installing" not in done.text
    stages = took(shop, "d2")
    print(f"with nothing missing: no stage for packages, the survey took {1000 * stages['survey']:.0f} ms")
    assert "packages" not in stages and stages["survey"] < 1


def test_one_that_only_one_node_lacks_is_installed_there(shop, web):
    web1, web2 = web
    web1.ssh("apt-get", "-q", "-y", "install", "python3-markdown", limit=120)
    web2.ssh("apt-get", "-q", "-y", "remove", "python3-markdown", limit=120)
    shop.commit("Write markdown", {**hello(""), "hello.py": MARKDOWN})
    assert shop.push().refused(
        "web2: the application does not start: hello:application cannot be loaded: ModuleNotFoundError: No module named 'markdown'"
    )
    shop.commit("Say so", {"app.yaml": describe("deb: python3-markdown")})
    told = lines(shop.push(limit=180).ok())
    assert [line for line in told if "Debian package" in line] == [
        "       web2: installing 1 Debian package: python3-markdown",
        "       web2: 1 Debian package installed: python3-markdown",
    ]
    assert [says(node, shop) for node in web] == ["<p><em>apples</em></p>"] * 2


def test_a_package_that_does_not_exist_is_refused_with_apts_own_words(shop, web):
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    shop.commit("Want nonsense", {"app.yaml": describe("deb: python3-nonsense")})
    with unchanged(shop.name, *web):
        done = shop.push(limit=180)
    assert errors(done) == [
        "web1, web2: apt: Unable to locate package python3-nonsense; change deb in app.yaml, or the package sources of the node"
    ]
    assert done.refused("web1, web2: apt: Unable to locate package python3-nonsense")
    told = lines(done)
    assert all(
        told.count(f"       {name}: E: Unable to locate package python3-nonsense") == 1 for name in ("web1", "web2")
    )
    assert "       web1: Building dependency tree..." in told
    assert [says(node, shop) for node in web] == ["apples", "apples"]


def test_one_that_conflicts_with_what_is_there_is_refused(shop, web):
    shop.commit("Be at odds", {**hello("x"), "app.yaml": describe("deb: systemd-standalone-sysusers")})
    with unchanged(shop.name, *web):
        done = shop.push(limit=180)
    [error] = errors(done)
    assert error.startswith("web1, web2: apt: ") and " systemd systemd-sysv " in error
    assert error.endswith(
        " would be removed for what deb in app.yaml asks for, which conflicts with it; change that, or remove it on the node"
    )
    assert done.refused("web1, web2: apt: ")
    assert all(installed(node, "systemd") for node in web)


@pytest.mark.parametrize(
    "name",
    [
        "lxml=4.9",
        "-oDebug::x=1",
        "/tmp/x.deb",
        "./x.deb",
        "http://example.com/x.deb",
        "nginx-",
        "vim+",
        "$(id)",
        "a b;c",
        "--",
        "NGINX",
    ],
)
def test_what_is_more_than_a_name_is_refused_before_a_node_hears_of_it(shop, name):
    shop.commit("Be clever", {**hello(""), "app.yaml": describe(f'deb: ["{name}"]')})
    done = shop.push()
    assert "is no Debian package; write its name alone: no version, option, path, URL or final - +" in errors(done)[0]
    assert done.refused("app.yaml:3: deb: ")


def test_the_answers_for_debconf_are_there_when_the_package_is_configured(shop, web):
    for node in web:
        node.ssh("apt-get", "-q", "-y", "purge", "popularity-contest", check=False, limit=120)
    answer = "popularity-contest popularity-contest/participate boolean true"
    shop.commit(
        "Take part", {**hello("x"), "app.yaml": describe("deb: popularity-contest", f"deb_answers: [{answer}]")}
    )
    shop.push(limit=180).ok()
    for node in web:
        assert 'PARTICIPATE="yes"' in node.ssh("cat", "/etc/popularity-contest.conf")


def test_it_waits_for_an_apt_that_holds_the_lock_and_says_so(shop, web, running):
    web1 = web[0]
    web1.ssh("apt-get", "-q", "-y", "remove", "hello", check=False, limit=120)
    web1.ssh("systemd-run", "--unit=holder", "python3", "-c", HOLD)
    try:
        shop.commit("Say hello", {**hello("x"), "app.yaml": describe("deb: hello")})
        push = running(shop.pushing())
        push.until("Waiting for cache lock")
        web1.ssh("systemctl", "stop", "holder")
        done = push.wait(120).ok()
    finally:
        web1.ssh("systemctl", "stop", "holder", check=False)
    assert (
        "web1: Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process"
        in done.text
    )
    assert "web1: 1 Debian package installed: hello" in done.text and installed(web1, "hello")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('python: "<3"', "the application wants python <3, the node has 3.11.2; change python in app.yaml or the node"),
        ("os: windows", "the application wants os windows, the node is posix, linux, debian"),
    ],
)
def test_python_and_os_are_those_of_the_node(shop, web, line, reason):
    shop.commit("Be picky", {**hello(""), "app.yaml": describe(line)})
    done = shop.push()
    assert errors(done) == [f"web1, web2: {reason}"] and done.refused(reason)


def test_rpm_is_said_not_to_apply(shop):
    shop.commit("Sell apples", {**hello("apples"), "app.yaml": describe("rpm: m2crypto")})
    told = lines(shop.push().ok())
    assert "       warning: app.yaml:3: rpm: does not apply on Debian, where deb: names the packages" in told
