"""An application's own commands and jobs on machines: as its own user, once per environment, timers on the first node alone."""

from __future__ import annotations

import pytest

from buildless.node.owners import user_name

from ..functional.session import PYTHON, App, Server, hello
from ..functional.test_configuration import archive
from .machines import Node, eventually
from .visitor import says

TOOL = """\
import os, pwd, sys
where = os.path.join(os.environ["APP_LOGS"], "log")
with open(where, "a") as file:
    print(sys.argv[1], os.environ["APP_RELEASE"], pwd.getpwuid(os.getuid()).pw_name, file=file)
print("done:", sys.argv[1])
if os.environ.get("FAILS") == sys.argv[1]:
    sys.exit(f"{sys.argv[1]} cannot")
"""
YAML = (
    PYTHON
    + """\
update: bin/tool.py update
check_environment: bin/tool.py check
health_check: bin/tool.py health
cron:
  tick: "* * * * * bin/tool.py tick"
  yearly: "@yearly bin/tool.py yearly"
"""
)


@pytest.fixture(scope="module")
def app(server: Server) -> App:
    made = server.app("caring")
    made.commit("Commands", {**hello("one"), "app.yaml": YAML, "bin/tool.py": TOOL})
    made.push().ok()
    return made


def log(node: Node, key: str = "caring") -> list[str]:
    return node.ssh("cat", f"/var/log/apps/{key}/log").splitlines()


def timers(node: Node) -> set[str]:
    found = node.ssh("systemctl", "list-units", "--plain", "--no-legend", "--full", "cron-caring_*.timer")
    return {line.split()[0] for line in found.splitlines() if line.split()}


def test_commands_are_the_apps_own_and_update_is_run_once(app: App, web: list[Node]) -> None:
    for node, moments in zip(web, (["check", "update", "health"], ["check", "health"]), strict=True):
        user = node.ssh("stat", "--format=%U", "/var/log/apps/caring").strip()
        assert user != "root"
        assert [line for line in log(node) if not line.startswith("tick")] == [f"{what} v1 {user}" for what in moments]


def test_a_command_that_fails_refuses_the_push(app: App, web: list[Node]) -> None:
    refused = app.server.ssh("config:set", "caring", "FAILS=health")
    assert refused.status == 1
    assert "web1, web2: health_check: bin/tool.py health ended with exit code 1" in refused.text
    assert "health cannot" in refused.text
    assert [says(node, app) for node in web] == ["one", "one"]
    assert "caring has no config vars" in app.server.ssh("config", "caring").ok().out


def test_jobs_run_by_their_timers_and_follow_what_is_live(app: App, web: list[Node]) -> None:
    node, other = web
    assert timers(other) == set()
    assert timers(node) == {"cron-caring_tick@v1.timer", "cron-caring_yearly@v1.timer"}
    eventually("the job was run", lambda: any(line.startswith("tick v1 ") for line in log(node)), 90)
    eventually("it is in the log", lambda: " v1 tick | done: tick" in app.server.ssh("logs", "caring").ok().out, 30)
    app.commit("One job", {"app.yaml": YAML.replace('  yearly: "@yearly bin/tool.py yearly"\n', "")})
    app.push().ok()
    assert timers(node) == {"cron-caring_tick@v2.timer"}
    assert node.ssh("sh", "-c", "ls /etc/systemd/system | grep ^cron-caring").split() == [
        "cron-caring_tick@.service", "cron-caring_tick@.timer",
    ]  # fmt: skip
    app.commit("No job", {"app.yaml": PYTHON})
    app.push().ok()
    assert timers(node) == set()
    assert node.ssh("sh", "-c", "ls /etc/systemd/system | grep -c ^cron-caring || true").strip() == "0"


SLOW = """\
import os, time
log, gate = (os.path.join(os.environ["APP_LOGS"], name) for name in ("log", "gate"))
print("slow", os.environ["APP_RELEASE"], file=open(log, "a"))
while not os.path.exists(gate):
    time.sleep(0.05)
"""


def test_a_job_that_still_runs_after_a_switch_is_not_run_twice(server: Server, web: list[Node]) -> None:
    app, node = server.app("patient"), web[0]
    job = PYTHON + 'cron:\n  slow: "@yearly bin/slow.py"\n'
    app.commit("A job", {**hello("one"), "app.yaml": job, "bin/slow.py": SLOW})
    app.push().ok()
    node.ssh("systemctl", "start", "--no-block", "cron-patient_slow@v1.service")
    written = ("cat", "/var/log/apps/patient/log")
    eventually("it runs", lambda: node.ssh(*written, check=False) == "slow v1\n", 30)
    app.commit("Another", {**hello("two"), "app.yaml": job})
    app.push().ok()
    node.ssh("rm", "-r", "/var/cache/apps/patient/pycache")
    node.ssh("systemctl", "start", "cron-patient_slow@v2.service")  # as its timer would
    assert "slow still runs, since before v2 was live: not begun again now" in server.ssh("logs", "patient").ok().out
    node.ssh("touch", "/var/log/apps/patient/gate")
    eventually(
        "it has ended",
        lambda: "inactive" in node.ssh("systemctl", "is-active", "cron-patient_slow@v1.service", check=False),
    )
    node.ssh("systemctl", "start", "cron-patient_slow@v2.service")
    assert log(node, "patient") == ["slow v1", "slow v2"]


TELL = """\
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    top = os.environ["APP_CONFIG"]
    return [(open(os.path.join(top, "greeting")).read().strip() + (" may write" if os.access(top, os.W_OK) else "")).encode()]
"""
LOOK = """\
#!/bin/sh
read greeting < "$APP_CONFIG/greeting"
echo "$(id -un) reads $greeting"
[ "$greeting" != rude ]
"""


def test_its_configuration_is_the_environments_looked_at_and_for_it_alone(server: Server, web: list[Node]) -> None:
    app = server.app("polite")
    said = PYTHON + "config: {default: conf, checker: bin/look.sh}\n"
    app.commit("Asks", {"app.yaml": said, "hello.py": TELL, "bin/look.sh": LOOK, "conf/greeting": "welcome\n"})
    user = user_name("polite")
    assert f"{user} reads welcome" in app.push().ok().err
    assert [says(node, app) for node in web] == ["welcome"] * 2
    server.ssh("config:put", "polite", stdin=archive({"greeting": "good day\n"})).ok()
    assert [says(node, app) for node in web] == ["good day"] * 2
    refused = server.ssh("config:put", "polite", stdin=archive({"greeting": "rude\n"}))
    assert (
        refused.status == 1 and "the checker of its configuration: bin/look.sh ended with exit code 1" in refused.text
    )
    assert [says(node, app) for node in web] == ["good day"] * 2
    for node in web:
        kept = node.ssh("sh", "-c", "stat -c '%U %G %a' /srv/apps/polite/releases/v2/config/greeting").split()
        assert kept == ["root", user, "640"]


TESTS = """\
import os, pwd
kept = "/var/lib/apps/tested.staging"
print("tests:", pwd.getpwuid(os.getuid()).pw_name, os.environ["APP_ENVIRONMENT"], os.environ.get("CONFIG_FILES"))
try:
    print("files:", os.listdir(kept))
except OSError as error:
    print("files:", type(error).__name__)
"""
KEEPS = PYTHON + "services: files\nunit_test: bin/tests.py\ninstall: bin/install.py\n"
INSTALL = "import os\nprint('installs into', os.environ['CONFIG_FILES'], os.listdir('/var/lib/apps/tested.staging'))\n"


def test_its_own_tests_do_not_get_at_what_it_keeps(server: Server, web: list[Node]) -> None:
    app = server.app("tested")
    app.commit("Tests", {**hello("one"), "app.yaml": KEEPS, "bin/tests.py": TESTS, "bin/install.py": INSTALL})
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("staging: {nodes: [web1]}", "staging: {nodes: [web1], unit_test: yes}")):
        push = app.push("staging", "master").ok()
    assert f"web1: tests: {user_name('tested.staging')} test None" in push.err
    assert "web1: files: FileNotFoundError" in push.err
    assert "web1: installs into /var/lib/apps/tested.staging/files ['files']" in push.err
