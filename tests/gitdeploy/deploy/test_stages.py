"""What a node must have and be told: pure decisions."""

from dataclasses import replace

import pytest

from buildless import description
from buildless.limits import WebLimits
from buildless.service import Account
from gitdeploy.deploy import stages
from gitdeploy.deploy.stages import Plan
from gitdeploy.git.configvars import ConfigVars
from gitdeploy.git.repository import CommitInfo
from gitdeploy.names import Place

SHOP = Place("shop", "production")
FACTS = {
    "python": [3, 11, 2], "os": ["posix", "linux", "debian"], "missing_debs": [],
    "free": {"bytes": 10**12, "inodes": 10**6},
}  # fmt: skip


def plan(text=b"platform: python, wsgi\napp: shop:application\n", place=SHOP, **changes):
    made = Plan(
        place, stages.app_key(place, "production"), CommitInfo("c" * 40, "t" * 40, "First", "Alice"), description.parse(text),
        "v7", ("shop.localhost",), WebLimits(), "alice", "git push",
    )  # fmt: skip
    return replace(made, **changes)


def test_an_app_is_alone_on_a_node_only_in_the_default_environment():
    assert stages.app_key(SHOP, "production") == "shop"
    assert stages.app_key(Place("shop", "staging"), "production") == "shop.staging"


def test_locations_are_the_default_environments():
    found = description.parse(b"platform: static\nlocations: Shop.example.com\n")
    assert stages.hosts(SHOP, found, "localhost", "production") == ("shop.example.com", "shop.localhost")
    assert stages.hosts(Place("shop", "staging"), found, "localhost", "production") == ("shop.staging.localhost",)


def test_the_base_is_the_live_version_or_else_the_latest():
    releases = [{"release": f"v{n}", "commit": commit} for n, commit in ((1, "a"), (2, "b"), (3, "c"))]
    assert stages.base_of(["a", "b", "c"], releases, "v1") == "a"
    assert stages.base_of(["a", "b"], releases, "v3") == "b"
    assert stages.base_of([], releases, "v3") is None


def test_a_location_may_not_be_a_name_of_the_servers_own():
    domains = {"localhost", "apps.example.com"}
    assert stages.reserved(("shop.example.com", "shop.localhost"), domains) is None
    assert stages.reserved(("shop.localhost", "shop.localhost"), domains) is None
    assert stages.reserved(("bank.localhost", "shop.localhost"), domains) == "bank.localhost"
    assert stages.reserved(("x.staging.apps.example.com", "shop.localhost"), domains) == "x.staging.apps.example.com"
    assert stages.reserved(("localhost", "shop.localhost"), domains) == "localhost"


def test_release_numbers_go_on_whatever_was_lost():
    assert stages.next_release([], []) == "v1"
    assert stages.next_release(["refs/releases/v9", "refs/releases/v10"], [{"releases": []}]) == "v11"
    assert stages.next_release(["refs/releases/v9"], [{"releases": [{"release": "v12"}]}]) == "v13"


@pytest.mark.parametrize(
    ("text", "changes", "says"),
    [
        (b"python: <3\n", {}, "wants python <3, the node has 3.11.2"),
        (b"os: freebsd\n", {}, "wants os freebsd"),
        (b"", {"missing_debs": ["python3-lxml", "gdal-bin"]}, "apt-get install python3-lxml gdal-bin"),
        (b"", {"free": {"bytes": 60_000_000, "inodes": 10**6}}, "needs 100.0 MB and the disk has 60.0 MB free"),
        (
            b"",
            {"free": {"bytes": 10**12, "inodes": 10}},
            "1,000 files and the disk has room for 10; see what fills it (df -h), make room on it, or keep fewer",
        ),
    ],
)
def test_what_a_node_lacks_is_said_with_what_to_do(text, changes, says):
    wanted = plan(b"platform: python, wsgi\napp: shop:application\n" + text)
    [problem] = stages.problems(wanted, {**FACTS, **changes}, 100_000_000, 1000)
    assert says in problem


def test_a_full_disk_is_told_before_it_is_known_what_is_to_be_sent():
    wanted = plan(b"platform: python, wsgi\napp: shop:application\n")
    [problem] = stages.problems(wanted, {**FACTS, "free": {"bytes": 0, "inodes": 10}}, 0, 0)
    assert problem.startswith("the disk has 0 B free (it must keep 50.0 MB); see what fills it (df -h), make room")


def test_a_node_that_has_everything():
    wanted = plan(b"platform: python, wsgi\napp: shop:application\npython: '>=3.9'\nos: posix\n")
    assert stages.problems(wanted, FACTS, 100, 1) == []
    assert stages.problems(wanted, {**FACTS, "free": {"bytes": 10**9, "inodes": None}}, 100, 1) == []


def test_a_ping_that_was_asked_for_is_stricter():
    assert stages.unhealthy(404, "/", asked=False) is None
    assert stages.unhealthy(399, "/ping", asked=True) is None
    assert "must be below 400" in (stages.unhealthy(404, "/ping", asked=True) or "")
    assert "must be below 500" in (stages.unhealthy(500, "/", asked=False) or "")


def test_processes_are_the_same_whatever_the_release_is_called():
    one = plan()
    assert stages.fingerprint(one) == stages.fingerprint(replace(one, release="v8", user="bob"))
    assert stages.fingerprint(one) != stages.fingerprint(replace(one, web=WebLimits(processes=1)))
    assert stages.fingerprint(one) != stages.fingerprint(replace(one, commit=replace(one.commit, oid="d" * 40)))


def test_settings_inject_the_environment():
    layout = {
        "tmp": "/t",
        "logs": "/l",
        "pycache": "/p",
        "socket": "/s",
        "secret": "/x",
        "state": "/var",
        "release": "/r",
    }
    found = stages.settings(plan(), layout, "/usr/bin")
    environ = found["environ"]
    assert environ["APP_NAME"] == "shop" and environ["APP_RELEASE"] == "v7" and environ["TMPDIR"] == "/t"
    assert environ["APP_VERSION"] == "c" * 40 and environ["PYTHONPYCACHEPREFIX"] == "/p"
    assert environ["APP_SECRET_FILE"] == "/x"
    assert WebLimits(**found["web"]) == WebLimits()
    assert "test_environ" not in found


def test_an_applications_own_tests_are_told_of_no_data():
    layout = dict.fromkeys(("tmp", "logs", "pycache", "socket", "secret", "state", "release"), "/x")
    config = ConfigVars(variables={"TOKEN": "quince"}, files={"a.ini": b""})
    account = Account("postgresql", "shop", "plum", url="postgresql://shop:plum@db/shop")
    text = b"platform: static\nenv: {FRUIT: plum}\nunit_test: bin/test\nservices: postgresql\nconfig: {default: conf}\n"
    found = stages.settings(plan(text, config=config, services=(account,)), layout, "/usr/bin")
    real, told = found["environ"], found["test_environ"]
    assert (real["TOKEN"], real["APP_CONFIG"]) == ("quince", "/x/config") and "DATABASE_URL" in real
    assert (told["APP_ENVIRONMENT"], told["APP_CONFIG"], told["FRUIT"]) == ("test", "/x/tree/conf", "plum")
    of_services = {name for name in real if name.startswith("CONFIG_")} | {"DATABASE_URL"}
    assert told.keys() == real.keys() - of_services - {"TOKEN"}


def test_a_location_below_a_name_that_the_server_gives_is_reserved():
    assert stages.reserved(("shop.localhost/blog", "blog.localhost", "*"), ["localhost"]) == "shop.localhost/blog"
    assert stages.reserved(("blog.localhost/x", "example.com/x", "blog.localhost"), ["localhost"]) is None


def test_packages_that_the_node_can_install_are_no_problem():
    facts = {**FACTS, "missing_debs": ["sl"]}
    [problem] = stages.problems(plan(), facts, 0, 0)
    assert problem == (
        "Debian packages are missing on the server's own machine, where no push installs any: apt-get install sl"
        "; or deploy to a node that is a machine, where the push installs them"
    )
    [problem] = stages.problems(plan(), {**FACTS, "missing_debs": ["python3-django"]}, 0, 0)
    assert "; or put pure Python into the tree: gitdeploy vendor PACKAGE; or deploy to" in problem
    assert stages.problems(plan(), facts, 0, 0, installs=True) == []
