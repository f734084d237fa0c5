"""An environment that is taken out of gitdeploy.yaml: nothing of it runs any more, and all of it is there when it is back."""

from __future__ import annotations

from .session import PYTHON, SMALL, Server, eventually, hello

YAML = PYTHON + "services: files\n"
JOBS = 'processes:\n  worker: {run: "jobs:work"}\ncron:\n  tick: "* * * * * jobs:tick"\n'
SOURCE = """\
import os, time
def tick():
    open(os.path.join(os.environ["CONFIG_FILES"], "ticks"), "a").write("tick\\n")
def work():
    while True: time.sleep(1)
"""
WITHOUT = SMALL + "environments: {production: {}}\n"


def running(server: Server, key: str) -> list[str]:
    return [line for line in server.processes().values() if f"apps/{key}/" in line]


def test_it_is_stopped_and_catches_up_when_it_is_back(server: Server) -> None:
    app = server.app("shop")
    app.commit("Sell apples", {**hello("apples"), "app.yaml": YAML + JOBS, "jobs.py": SOURCE})
    app.push("staging", "master").ok()
    app.commit("Sell pears", {**hello("pears"), "app.yaml": YAML})
    app.push().ok()
    node, key = server.home / "node", "shop.staging"
    (node / "var/lib/apps" / key / "files/note").write_text("remember me")
    assert app.get(environment="staging").text == "apples"

    server.reload(WITHOUT)
    eventually("it answers nobody", lambda: app.get(environment="staging").status == 404)
    eventually("its processes have ended", lambda: not running(server, key))
    eventually("it is told", lambda: f"{key} has data on embedded and does not run there" in server.ssh("nodes").out)
    assert app.says() == "pears"
    assert (node / "srv/apps" / key / "releases/v1").is_dir()
    server.end()
    server.start()
    assert app.get(environment="staging").status == 404
    assert not running(server, key)
    assert not (node / "srv/apps" / key / "live").exists()  # what has no live release has no jobs

    server.reload(SMALL)
    eventually("it is back", lambda: app.get(environment="staging").text == "apples")
    assert (node / "var/lib/apps" / key / "files/note").read_text() == "remember me"
    eventually("it is all there", lambda: "shop.staging" not in server.ssh("nodes").out)
    eventually("it is done", lambda: " live " in server.ssh("deploys", "staging/shop").out.splitlines()[-1])
    server.ssh("verify", "staging/shop").ok()


def test_what_may_be_a_mistake_stops_nothing(server: Server) -> None:
    app = server.app("lasting")
    app.commit("Sell apples", hello("apples"))
    app.push("staging", "master").ok()
    with server.settings(SMALL + "environments: {production: {}, staging: {nodes: wbe1}}\n"):
        said = "lasting.staging is live on embedded, and goes on: gitdeploy.yaml names wbe1 for staging, and there is no such node"
        eventually("the log says so", lambda: said in server.log.read_text())
        assert app.get(environment="staging").text == "apples"
        server.ssh("apps").ok()
    server.reload("", says="gitdeploy.yaml is gone, or empty; the old one stays")
    server.reload(SMALL)
    assert app.get(environment="staging").text == "apples"
    repository = server.home / "repositories/lasting.git"
    server.end()
    repository.rename(server.home / "lasting.git")
    server.start()
    eventually("the log says so", lambda: "goes on: this server knows nothing of it" in server.log.read_text())
    server.end()
    (server.home / "lasting.git").rename(repository)
    server.start()
    assert app.get(environment="staging").text == "apples"
