"""A balancer before two nodes, and visitors who ask all the time: whatever is done to the nodes, none of them notices."""

from __future__ import annotations

import http.client
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..functional.session import App, Server, remove, run
from .load import Load
from .machines import Machines, Node, eventually

SETTINGS = """\
web: {processes: 2}
environments:
  production: {nodes: "east, west", balancer: lb1, missing: 1}
  staging: {nodes: west, balancer: lb1}
limits: {boot: 30s, step: 120s}
"""
SHOP = {
    "app.yaml": "platform: python, wsgi\napp: shop:application\n",
    "shop.py": """\
import socket, sys, time
from text import TEXT
HOST = socket.gethostname()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("asked", environ["QUERY_STRING"], file=sys.stderr, flush=True)
        time.sleep(4)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/who":
        return [f"{environ['HTTP_X_FORWARDED_FOR']} {environ['wsgi.url_scheme']}".encode()]
    return [f"{HOST} {TEXT}".encode()]
""",
}
HOST = "shop.localhost"
SETTLED = 1.5  # seconds in which a balancer has noticed how a node is


@pytest.fixture(scope="module")
def balancer(machines: Machines) -> Node:
    return machines.create("lb1", role="balancer")


@pytest.fixture(scope="module")
def pair(nodes: Callable[..., list[Node]]) -> list[Node]:
    """east and west."""
    return nodes(names=["east", "west"])


@pytest.fixture(scope="module")
def server(machines: Machines, balancer: Node, pair: list[Node]) -> Iterator[Server]:
    top = Path(tempfile.mkdtemp(prefix="gd-")).resolve()
    server = Server(top, SETTINGS + machines.lend(top / "h", balancer, *pair))
    try:
        assert "lb1: ready" in set_up(server, "production")
        yield server.open()
    finally:
        server.close()
        remove(top)


@pytest.fixture(scope="module")
def shop(server: Server, balancer: Node) -> App:
    """An application that says which node it is on, and its release's word."""
    shop = server.app("shop")
    shop.commit("Sell apples", {**SHOP, "text.py": "TEXT = 'apples'\n"})
    shop.push().ok()
    both_serve(balancer)
    return shop


def set_up(server: Server, *names: str) -> str:
    """Run setup-node; returns all that it wrote."""
    argv = [sys.executable, "-m", "gitdeploy", "--home", str(server.home), "setup-node", *names]
    return run(argv, server.env, server.top, limit=900).ok().text


def ask(balancer: Node, path: str = "/", host: str = HOST, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(balancer.address, timeout=60)
    try:
        connection.request(method, path, b"x" if method == "POST" else None, {"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace").strip()
    finally:
        connection.close()


def hosts(answers: Counter[str]) -> set[str]:
    """Which nodes have answered."""
    return {answer.partition(" ")[0] for answer in answers}


def seen(balancer: Node) -> set[str]:
    """Which nodes answer now; twenty requests come to all that get any."""
    return hosts(Counter(ask(balancer)[1] for _ in range(20)))


def both_serve(balancer: Node) -> None:
    eventually("both nodes serve", lambda: seen(balancer) == {"east", "west"}, 60)


class Crowd:
    """Visitors of all sorts: those who keep their connection and those who do not, those who look and those who buy."""

    def __init__(self, balancer: Node, methods: tuple[str, ...]) -> None:
        self.loads = [
            Load(balancer.address, HOST, method=method, keep=keep, visitors=2)
            for method in methods
            for keep in (False, True)
        ]

    @property
    def answers(self) -> Counter[str]:
        return sum((load.answers for load in self.loads), Counter())

    @property
    def bad(self) -> list[str]:
        return [bad for load in self.loads for bad in load.bad]

    def news(self, seconds: float) -> Counter[str]:
        """What they are answered from now on, for so long."""
        before = self.answers
        time.sleep(seconds)
        return self.answers - before


@contextmanager
def crowd(balancer: Node, *methods: str) -> Iterator[Crowd]:
    """A crowd while something is done; then nobody has been answered wrongly."""
    crowd = Crowd(balancer, methods or ("GET", "POST"))
    for load in crowd.loads:
        load.__enter__()
    try:
        time.sleep(0.5)
        yield crowd
        time.sleep(0.5)
    finally:
        for load in crowd.loads:
            load.__exit__(None, None, None)
    assert crowd.bad == [], f"{len(crowd.bad)} of {crowd.answers.total()}"
    assert all(load.answers.total() > 20 for load in crowd.loads)


def test_a_host_goes_to_its_environment(shop: App, balancer: Node) -> None:
    shop.git("checkout", "-q", "-b", "trial")
    shop.commit("Try plums", {"text.py": "TEXT = 'plums'\n"})
    shop.push("staging", "trial:master").ok()
    shop.git("checkout", "-q", "master")
    eventually("staging", lambda: ask(balancer, host="shop.staging.localhost") == (200, "west plums"))
    assert {ask(balancer, host="SHOP.staging.localhost.:80")[1] for _ in range(5)} == {"west plums"}
    assert {ask(balancer)[1] for _ in range(10)} == {"east apples", "west apples"}
    assert ask(balancer, host="other.localhost")[0] == 404


def test_an_application_is_told_who_is_asking(shop: App, balancer: Node, pair: list[Node]) -> None:
    said = ask(balancer, "/who", **{"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"})
    gateway = balancer.ssh("sh", "-c", "ip route show default | cut -d' ' -f3").strip()
    assert said == (200, f"{gateway} http")
    said = ask(pair[0], "/who", **{"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"})
    assert said == (200, f"{gateway} http")


def test_a_node_that_is_drained_gets_nothing_until_it_is_resumed(server: Server, shop: App, balancer: Node) -> None:
    with crowd(balancer) as visitors:
        said = server.ssh("nodes:drain", "east").ok().out
        assert said == "east gets no new requests from its balancer, until: nodes:resume east\n"
        time.sleep(SETTLED)
        assert hosts(visitors.news(1)) == {"west"}
        server.ssh("nodes:resume", "east").ok()
        eventually("it has requests again", lambda: "east" in hosts(visitors.news(0.2)))


def test_nodes_and_balancer_are_set_up_again(server: Server, shop: App, balancer: Node, pair: list[Node]) -> None:
    for node in pair:
        node.ssh("sh", "-c", "echo '# mine' >>/etc/nginx/nginx.conf")
    balancer.ssh("sh", "-c", "echo '# mine' >>/etc/gitdeploy/haproxy.cfg")
    with crowd(balancer) as visitors:
        said = set_up(server, "production")
        assert hosts(visitors.news(1)) == {"east", "west"}
    assert "east: nginx: systemctl reload-or-restart nginx\n" in said
    assert "lb1: haproxy: systemctl reload-or-restart haproxy\n" in said
    assert sorted(set_up(server, "production").splitlines()) == [
        f"{name}: nothing changed" for name in ("east", "lb1", "west")
    ]


def test_doctor_looks_at_haproxy_where_there_is_no_nginx(server: Server, shop: App, balancer: Node) -> None:
    assert "-----> lb1: well\n" in server.ssh("doctor").out
    balancer.ssh("sh", "-c", "cp -p /etc/haproxy/haproxy.cfg /root/ && echo nonsense >>/etc/haproxy/haproxy.cfg")
    try:
        assert " !     haproxy does not run, or does not take its configuration; on it," in server.ssh("doctor").out
    finally:
        balancer.ssh("mv", "/root/haproxy.cfg", "/etc/haproxy/haproxy.cfg")
    assert "-----> lb1: well\n" in server.ssh("doctor").out


def test_a_push_says_that_the_balancer_is_to_be_set_up_again(server: Server, shop: App) -> None:
    said = "lb1: the balancer is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node lb1\n"
    assert said not in shop.server.ssh("redeploy", "shop").ok().text
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("{nodes: west, balancer", "{domain: example.org, nodes: west, balancer")):
        assert said in shop.server.ssh("redeploy", "shop").ok().text


def test_web_servers_and_balancer_are_reloaded(shop: App, balancer: Node, pair: list[Node]) -> None:
    with crowd(balancer):
        for _ in range(10):
            for node in pair:
                node.ssh("systemctl", "reload", "nginx")
        for _ in range(3):
            balancer.ssh("systemctl", "reload", "haproxy")


def test_a_balancer_that_is_reloaded_remembers_who_is_drained(server: Server, shop: App, balancer: Node) -> None:
    server.ssh("nodes:drain", "east").ok()
    try:
        time.sleep(SETTLED)
        with crowd(balancer) as visitors:
            assert hosts(visitors.news(0.5)) == {"west"}
            before = visitors.answers
            for _ in range(3):
                balancer.ssh("systemctl", "reload", "haproxy")
            assert hosts(visitors.answers - before) == {"west"}
    finally:
        server.ssh("nodes:resume", "east").ok()
    both_serve(balancer)


def test_a_node_that_is_drained_is_rebooted(server: Server, shop: App, balancer: Node, pair: list[Node]) -> None:
    east = pair[0]
    with crowd(balancer) as visitors:
        server.ssh("nodes:drain", "east").ok()
        time.sleep(SETTLED)
        east.cycle()
        assert hosts(visitors.news(SETTLED)) == {"west"}  # still
        server.ssh("nodes:resume", "east").ok()
        eventually("it has requests again", lambda: "east" in hosts(visitors.news(0.2)), 60)


def test_a_node_dies_between_requests_and_catches_up_before_it_gets_any(
    shop: App, balancer: Node, pair: list[Node]
) -> None:
    east = pair[0]
    with crowd(balancer, "GET") as visitors:
        east.power_off()
        time.sleep(3)
        assert hosts(visitors.news(1)) == {"west"}
        shop.commit("Sell pears", {"text.py": "TEXT = 'pears'\n"})
        shop.push().ok()
        assert set(visitors.news(1)) == {"west pears"}
        before = visitors.answers
        east.start()
        eventually("it has requests again", lambda: "east" in hosts(visitors.answers - before), 60)
        assert set(visitors.answers - before) <= {"east pears", "west pears"}
    assert balancer.ssh("systemctl", "is-active", "haproxy").strip() == "active"


def test_a_node_stops_answering_and_visitors_wait_but_are_served(shop: App, balancer: Node, pair: list[Node]) -> None:
    east = pair[0]
    with crowd(balancer, "GET") as visitors:
        east.hang()
        try:
            time.sleep(25)
        finally:
            east.mend()
        eventually("it has requests again", lambda: "east" in hosts(visitors.news(0.2)), 60)


def test_what_buys_is_not_done_twice_and_what_looks_is_asked_again(shop: App, balancer: Node, pair: list[Node]) -> None:
    both_serve(balancer)
    found: dict[str, tuple[int, str]] = {}

    def slow(method: str, number: int) -> None:
        found[f"{method}{number}"] = ask(balancer, f"/slow?{method}{number}", method=method)

    threads = [threading.Thread(target=slow, args=(method, n)) for method in ("GET", "POST") for n in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)  # so that they go to the nodes in turn
    names = ("GET0", "GET1", "POST0", "POST1")
    eventually("they wait", lambda: all(sum(said(node, name) for node in pair) for name in names), 3)
    asked = {name: [node.name for node in pair if said(node, name)] for name in names}
    pair[0].ssh("systemctl", "kill", "--signal=KILL", "nginx")
    for thread in threads:
        thread.join()
    on_east = [name for name, names in asked.items() if names == ["east"]]
    assert {name[:-1] for name in on_east} == {"GET", "POST"}, asked
    for name in asked:
        lost = name in on_east and name.startswith("POST")
        assert found[name][0] == (502 if lost else 200), (name, asked, found)
        assert sum(said(node, name) for node in pair) == (2 if name in on_east and not lost else 1), (name, asked)
    eventually("nginx", lambda: pair[0].ssh("systemctl", "is-active", "nginx", check=False).strip() == "active")
    both_serve(balancer)


def said(node: Node, name: str) -> int:
    """How often the application on a node was asked for something."""
    log = node.root / "var/log/gitdeploy/shop.log"
    return log.read_text().count(f"| asked {name}\n") if log.exists() else 0


def test_fifty_switches(shop: App, balancer: Node) -> None:
    """Most of them between releases that run; some to new code."""
    both_serve(balancer)
    released = [shop.commit("Sell number 0", {"text.py": "TEXT = 'number 0'\n"})]
    with crowd(balancer) as visitors:
        shop.push().ok()
        for number in range(1, 50):
            if number % 10 == 1:
                released.append(shop.commit(f"Sell number {number}", {"text.py": f"TEXT = 'number {number}'\n"}))
                shop.push("-f", "deploy", "master").ok()
            else:
                shop.push("-f", "deploy", f"{released[-1 if number % 2 else -2]}:master").ok()
            if number % 10 == 1:
                assert set(visitors.news(0.3)) >= {f"east number {number}", f"west number {number}"}
    assert len(visitors.answers) >= 2 * len(released)


def test_after_a_power_cut_the_nodes_serve_although_the_server_is_away(
    server: Server, shop: App, balancer: Node, pair: list[Node]
) -> None:
    server.end()
    try:
        for node in pair:
            node.power_off()
        eventually("nobody is there", lambda: ask(balancer)[0] == 503)
        for node in pair:
            node.start()
        both_serve(balancer)
        assert [ask(node, "/.gitdeploy/ping")[0] for node in pair] == [503, 503]
    finally:
        server.start()
    with crowd(balancer, "GET"):
        eventually("in service", lambda: [ask(node, "/.gitdeploy/ping")[0] for node in pair] == [200, 200], 60)
