"""One push to the nodes of an environment: what the pusher reads, and that all of them end up the same, whatever happens."""

import json
import re

from ..functional.session import eventually, hello
from .traces import files, live, running, unchanged
from .visitor import PICKY, errors, lines, says

STATIC = {"app.yaml": "platform: static\n"}


def by_node(told, step):
    """What the nodes say below a step, whichever is the first."""
    [start] = [number for number, line in enumerate(told) if line.startswith(f"-----> {step}")]
    rest = told[start + 1 :]
    end = next(number for number, line in enumerate(rest) if line.startswith("----->"))
    return sorted(rest[:end])


def test_one_push_deploys_to_all_nodes(shop, web):
    commit = shop.commit("Sell apples", hello("apples"))
    told = lines(shop.push().ok())
    assert told[0] == f"-----> {shop.name}, production: COMMIT 'Sell apples', pushed by alice"
    assert by_node(told, "Delivering") == [f"       {node}: 2 files sent (174 B), 0 kept" for node in ("web1", "web2")]
    assert by_node(told, "Starting v1") == [
        "       web1: / answered 200 in N s", "       web1: started in N s",
        "       web2: / answered 200 in N s", "       web2: started in N s",
    ]  # fmt: skip
    assert told[-2:] == ["-----> Live: v1, COMMIT on web1, web2, after N s", f"       http://{shop.name}.localhost/"]
    assert [live(node, shop.name) for node in web] == [f"v1 {commit}"] * 2
    assert [says(node, shop) for node in web] == ["apples", "apples"]
    assert shop.live() == commit


def test_the_next_push_sends_what_changed_and_a_rollback_sends_and_starts_nothing(shop, web):
    apples = shop.commit("Sell apples", {**hello("apples"), "static/a.txt": "a"})
    shop.push().ok()
    shop.commit("Sell pears", hello("pears"))
    told = lines(shop.push().ok())
    assert "       web2: 1 file sent (127 B), 2 kept" in told
    assert [says(node, shop) for node in web] == ["pears", "pears"]
    before = {node: set(running(node, shop.name)) for node in web}
    told = lines(shop.push("-f", "deploy", "HEAD~1:master").ok())
    assert by_node(told, "Delivering") == [
        f"       {node}: has this version already, nothing to send" for node in ("web1", "web2")
    ]
    assert [line for line in by_node(told, "Starting v3") if "answered" not in line] == [
        f"       {node}: still runs, nothing to start" for node in ("web1", "web2")
    ]
    assert [live(node, shop.name) for node in web] == [f"v3 {apples}"] * 2
    assert [says(node, shop) for node in web] == ["apples", "apples"]
    assert {node: set(running(node, shop.name)) for node in web} == before
    events = json.loads(shop.server.ssh("deploys", shop.name, "d3", "--json").ok().out)
    took = {event["stage"]: event["seconds"] for event in events if event["event"] == "stage-end"}
    assert took["stage"] + took["deliver"] + took["verify"] < 0.01


def test_redeploy_starts_new_processes_of_the_same_version(shop, web):
    commit = shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    said = shop.server.ssh("redeploy", shop.name).ok().out
    assert "'Sell apples', deployed once more by alice" in said and "web2: started in" in said
    assert [live(node, shop.name) for node in web] == [f"v2 {commit}"] * 2
    rows = json.loads(shop.server.ssh("ps", shop.name, "--json").ok().out)
    assert rows["live"] == {"web1": "v2", "web2": "v2"}
    assert {(one["node"], *one["serves"]) for one in rows["processes"] if one["state"] == "running"} >= {
        ("web1", "v2"),
        ("web2", "v2"),
    }


def test_a_failure_on_one_node_leaves_all_as_they_were_and_names_it(shop, web):
    before = shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    shop.commit("Be picky", PICKY)
    with unchanged(shop.name, *web):
        done = shop.push()
        assert done.refused(
            "web2: the application does not start: hello:application cannot be loaded: AssertionError: not here"
        )
    assert errors(done) == [
        "web2: the application does not start: hello:application cannot be loaded: AssertionError: not here"
    ]
    assert "       web2: AssertionError: not here" in lines(done)
    assert [says(node, shop) for node in web] == ["apples", "apples"]
    assert shop.live() == before


def test_a_first_push_that_fails_on_one_node_leaves_nothing_on_the_others(shop, web):
    shop.commit("Be picky", PICKY)
    assert shop.push().refused("web2: the application does not start")
    for node in web:
        eventually("nothing is left", lambda node=node: not files(node, shop.name))
        assert f"app-{shop.name}" not in node.ssh("cat", "/etc/passwd") and running(node, shop.name) == []


def test_a_failure_on_all_nodes_is_said_once(shop, web):
    shop.commit("Sell plums", {**hello("plums"), "hello.py": "import plums\n"})
    done = shop.push()
    [error] = errors(done)
    assert error.startswith("web1, web2: the application does not start: hello:application cannot be loaded: ")
    assert done.refused("web1, web2: the application does not start")
    told = [line for line in lines(done) if "'plums'" in line]
    assert told == ["       web1: ModuleNotFoundError: No module named 'plums'", f" !     {error}"]


def test_two_environments_of_an_app_are_two_apps_on_a_node(shop, web):
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    staged = shop.commit("Sell pears", hello("pears"))
    told = lines(shop.push("staging", "master").ok())
    assert told[-2:] == [
        "-----> Live: v1, COMMIT on web1, after N s",
        f"       http://{shop.name}.staging.localhost/",
    ]
    web1, web2 = web
    assert says(web1, f"{shop.name}.staging.localhost") == "pears"
    assert says(web2, f"{shop.name}.staging.localhost") == "404"
    assert [says(node, shop) for node in web] == ["apples", "apples"]
    assert live(web1, f"{shop.name}.staging") == f"v1 {staged}"


def test_files_alone_need_no_process(shop, web):
    shop.commit("A page", {**STATIC, "static/index.html": "hello"})
    told = lines(shop.push().ok())
    assert by_node(told, "Starting v1") == [f"       {node}: / answered 200 in N s" for node in ("web1", "web2")]
    assert [says(node, shop) for node in web] == ["hello", "hello"] and running(web[0], shop.name) == []


def test_a_node_that_nobody_has_made_is_said_with_what_to_do(shop):
    shop.git("remote", "add", "unmade", shop.git("remote", "get-url", "staging").replace("/staging/", "/unmade/"))
    shop.commit("Sell apples", hello("apples"))
    done = shop.push("unmade", "master")
    assert done.refused("gitdeploy.yaml names web9 for unmade, and it is not there; run: gitdeploy create-node web9")


def test_a_node_whose_set_up_is_of_another_version_is_said_with_what_to_run(shop, web):
    version = web[1].root / "usr/lib/gitdeploy/version"
    before = version.read_text()
    version.write_text("another\n")
    try:
        shop.commit("Sell apples", hello("apples"))
        told = lines(shop.push().ok())
        advice = "it is not set up as gitdeploy.yaml and this gitdeploy have it now; run: gitdeploy setup-node web2"
        assert f"       web2: {advice}" in told
        row = re.search(r"^web2 .*$", shop.server.ssh("nodes").ok().out, re.MULTILINE)
        assert row and "run: gitdeploy setup-node web2" in row[0]
    finally:
        version.write_text(before)


def test_what_another_app_answers_to_cannot_be_taken(shop, web):
    other = shop.server.app(f"{shop.name}-2")
    shop.commit("Sell apples", {**hello("apples"), "app.yaml": hello("")["app.yaml"] + "locations: shop.example.com\n"})
    shop.push().ok()
    assert [says(node, "shop.example.com") for node in web] == ["apples", "apples"]
    other.commit("Sell pears", {**hello("pears"), "app.yaml": hello("")["app.yaml"] + "locations: shop.example.com\n"})
    assert other.push().refused(f"shop.example.com belongs to {shop.name}; take it out of the locations in app.yaml")
    assert [says(node, "shop.example.com") for node in web] == ["apples", "apples"]


def test_when_a_first_push_has_ended_every_process_of_nginx_knows_the_app(server, web):
    """Those of before a reload go on accepting connections beside the new ones for a while."""
    for number in range(3):
        app = server.app(f"first-{number}")
        app.commit("A page", {**STATIC, "static/index.html": "hello"})
        app.push().ok()
        assert {says(node, app) for node in web for _ in range(20)} == {"hello"}
