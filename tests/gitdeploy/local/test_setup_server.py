"""What setup-server refuses before it changes anything. That it works is shown on a real machine (tests/nodes)."""

import argparse
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from gitdeploy import service
from gitdeploy.errors import BadName, Refused
from gitdeploy.home import Home
from gitdeploy.local import setup_server
from gitdeploy.local.call import LocalCall
from gitdeploy.local.process import prepare
from gitdeploy.service import Service

SERVICE = Service("gitdeploy-server", service.HOME, "tcp:0", "tcp:0", (Path("/opt/gitdeploy/bin/python"),), "abc")


def call(home: Path = service.HOME, **said: Any) -> LocalCall:
    args = argparse.Namespace(**{"ssh": None, "http": None, "user": None, **said})
    unused: Any = None
    made = Home(home)
    return LocalCall(args, unused, made, unused, made.fleet, made.logins, reactor, unused)


def result(work: Any) -> Any:
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    until = time.monotonic() + 10
    while not results and time.monotonic() < until:
        reactor.iterate(0.01)  # type: ignore[attr-defined]  # ports are closed in a turn of their own
    [found] = results
    if hasattr(found, "raiseException"):
        found.raiseException()
    return found


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def check(wanted: Service, held: Sequence[str] = ()) -> None:
    result(setup_server.check_endpoints(call(), wanted, held))


def test_what_is_said_now_goes_before_what_was_said_and_that_before_the_default() -> None:
    before = {"GITDEPLOY_SSH": "tcp:2200", "GITDEPLOY_HTTP": "tcp:81", "GITDEPLOY_USER": "deployer"}
    found = setup_server.chosen(call(http="tcp:82"), before)
    assert (found.ssh, found.http, found.user) == ("tcp:2200", "tcp:82", "deployer")
    found = setup_server.chosen(call(), {})
    assert (found.ssh, found.http, found.user) == ("tcp:2222", "tcp:8080", "gitdeploy-server")


@pytest.mark.parametrize("name", ["root", "gitdeploy", "-x", "a b", "Alice", "x" * 40])
def test_the_user_is_the_servers_own(name: str) -> None:
    with pytest.raises(BadName, match="cannot be the server's user"):
        setup_server.chosen(call(user=name), {})


def test_ports_that_can_be_had_are_free_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    wanted = replace(SERVICE, ssh=f"tcp:{port}:interface=127.0.0.1")
    check(wanted)
    check(wanted)


def test_a_port_that_is_taken_is_named_unless_the_service_itself_has_it(taken: int) -> None:
    wanted = replace(SERVICE, http=f"tcp:{taken}:interface=127.0.0.1")
    with pytest.raises(
        Refused, match=f"something listens on port {taken} already; choose another: setup-server --http"
    ):
        check(wanted)
    check(wanted, ["tcp:2222", f"tcp:{taken}"])


def test_one_port_is_not_for_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(Refused, match=f"port {port} already"):
        check(replace(SERVICE, ssh=f"tcp:{port}", http=f"tcp:{port}"))


@pytest.mark.parametrize("bad", ["2222", "tcp", "tcp:ssh:x", "nothing:1", "tcp:1:2:3:4:5:6"])
def test_what_is_no_endpoint_is_refused(bad: str) -> None:
    with pytest.raises(BadName, match="is no endpoint; write such as tcp:2222"):
        check(replace(SERVICE, ssh=bad))


def test_an_address_that_this_machine_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match=r"cannot listen on tcp:0:interface=192\.0\.2\.1.*--ssh"):
        check(replace(SERVICE, ssh="tcp:0:interface=192.0.2.1"))


@pytest.mark.parametrize("path", ["/home/alice/apps", "/root/apps", "/tmp/apps", "/var/tmp/a"])
def test_a_home_that_a_service_does_not_see_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="services do not see"):
        setup_server.check_home(Home(Path(path)))


@pytest.mark.parametrize("path", ["/", "/etc", "/usr/lib"])
def test_what_is_there_for_something_else_is_not_taken_over(path: str) -> None:
    with pytest.raises(Refused, match="holds something else"):
        setup_server.check_home(Home(Path(path)))


def test_a_home_whose_sockets_would_have_too_long_names_is_refused() -> None:
    with pytest.raises(Refused, match="too long for the sockets"):
        setup_server.check_home(Home(Path("/srv/" + "x" * 40)))


def test_a_new_directory_is_fine() -> None:
    setup_server.check_home(Home(Path("/srv/nothing-here")))


def test_programs_that_a_service_does_not_see_are_refused() -> None:
    setup_server.check_programs(SERVICE)
    with pytest.raises(
        Refused, match=r"/tmp, which services do not see; install gitdeploy where everybody can read it"
    ):
        setup_server.check_programs(replace(SERVICE, programs=(*SERVICE.programs, Path("/tmp/checkout/gitdeploy"))))


def test_it_is_roots_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    with pytest.raises(Refused, match="setup-server changes this machine, and is root's; write: sudo"):
        prepare(Home(tmp_path / "home"), setup_server.SPEC)
    assert list(tmp_path.iterdir()) == []
