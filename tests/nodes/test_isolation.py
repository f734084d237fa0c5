"""What an app may not do on a node that it shares with others, and what no app.yaml gets into nginx or systemd."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from ..functional.session import PYTHON, hello
from .traces import running, unchanged
from .visitor import errors, get, says

SECRET = "the victim's own"
BURGLAR = """\
import ctypes, json, os, pwd, signal, socket, subprocess, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
VICTIM = "%s"
HOME = "/srv/apps/" + VICTIM
libc = ctypes.CDLL(None, use_errno=True)


def write(path):
    with open(path, "a") as file:
        file.write("burgled")


def read(path):
    with open(path) as file:
        return file.read()


def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)


def system_call(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "no")


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise RuntimeError(done.stderr)


def others():
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [pid for pid in pids if os.stat("/proc/%%d" %% pid).st_uid != os.getuid()]
    if not found:
        raise FileNotFoundError("it sees its own processes alone")
    return found


ATTEMPTS = {
    "write its code": lambda: write(__file__),
    "add to its tree": lambda: write(HERE + "/new.py"),
    "remove its code": lambda: os.unlink(__file__),
    "write in its tree's static": lambda: write(HERE + "/static/a.txt"),
    "switch itself": lambda: os.symlink("releases/v9", os.path.dirname(os.path.dirname(HERE)) + "/live2"),
    "see other apps": lambda: os.listdir("/srv/apps")[1],
    "read another's code": lambda: read(HOME + "/live/tree/hello.py"),
    "read another's settings": lambda: read(HOME + "/live/settings"),
    "read another's secret": lambda: read(HOME + "/secret"),
    "change its own secret": lambda: write(os.environ["APP_SECRET_FILE"]),
    "read another's state": lambda: os.listdir("/var/lib/apps/" + VICTIM),
    "read another's log": lambda: read("/var/log/gitdeploy/" + VICTIM + ".log"),
    "ask another past nginx": lambda: connect("/run/apps/" + VICTIM + "/v1.sock"),
    "ask as the check": lambda: connect("/run/gitdeploy/check/nginx.sock"),
    "put the node in service": lambda: write("/run/gitdeploy/in-service"),
    "change nginx": lambda: write("/etc/nginx/gitdeploy/burglar.conf"),
    "change a unit": lambda: write("/etc/systemd/system/burglar.service"),
    "change the agent": lambda: write("/usr/lib/gitdeploy/node"),
    "read nginx's logs": lambda: os.listdir("/var/log/nginx"),
    "read shadow": lambda: read("/etc/shadow"),
    "read root's keys": lambda: os.listdir("/root/.ssh"),
    "become root": lambda: os.setuid(0),
    "become the server's user": lambda: os.setuid(pwd.getpwnam("gitdeploy").pw_uid),
    "use sudo": lambda: run("sudo", "-n", "/usr/lib/gitdeploy/node"),
    "stop another": lambda: run("systemctl", "stop", "app-" + VICTIM + "-web@v1.service"),
    "see others' processes": others,
    "signal pid 1": lambda: os.kill(1, signal.SIGTERM),
    "mount": lambda: system_call(libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"")),
    "make a namespace": lambda: system_call(libc.unshare(0x10000000)),
    "make a setuid file": lambda: os.chmod(tempfile.mkstemp()[1], 0o4755),
    "make a device": lambda: os.mknod(tempfile.mkdtemp() + "/sda", 0o60600, os.makedev(8, 0)),
    "change the clock": lambda: __import__("time").clock_settime(0, 0),
    "change the host's name": lambda: socket.sethostname("burgled"),
    "open a port below 1024": lambda: socket.create_server(("", 81)),
}
ALLOWED = {
    "have its secret": lambda: __import__("buildless.secret").secret.get_secret() and None,
    "write its log": lambda: write(os.environ["APP_LOGS"] + "/own.log"),
    "write a temporary file": lambda: write(os.environ["TMPDIR"] + "/x"),
    "write its state": lambda: write("/var/lib/apps/%s/x"),
}


def result(attempt):
    try:
        return "done: %%s" %% (attempt(),)
    except Exception as error:
        return type(error).__name__


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    name = environ["PATH_INFO"][1:]
    if name:
        return [result({**ATTEMPTS, **ALLOWED}[name]).encode()]
    who = {"user": pwd.getpwuid(os.getuid()).pw_name, "groups": os.getgroups()}
    return [json.dumps({**who, "attempts": list(ATTEMPTS), "allowed": list(ALLOWED)}).encode()]
"""


@pytest.fixture(scope="module")
def victim(server, web):
    app = server.app("victim")
    app.commit("Have secrets", {**hello(SECRET), "app.yaml": f"{PYTHON}env: {{TOKEN: {SECRET}}}\n"})
    app.push().ok()
    return app


def test_an_app_cannot_get_at_its_tree_other_apps_or_the_machine(server, victim, web):
    burglar = server.app("burglar")
    files = {**hello(""), "hello.py": BURGLAR % (victim.name, burglar.name), "static/a.txt": "a"}
    burglar.commit("Try it", files)
    burglar.push().ok()
    for node in web:
        who = json.loads(says(node, burglar))
        assert who["user"] == "app-burglar" and len(who["groups"]) <= 1
        tried = {name: says(node, burglar, f"/{quote(name)}") for name in who["attempts"]}
        refusals = {"PermissionError", "FileNotFoundError", "OSError", "RuntimeError", "IndexError"}
        assert {name: text for name, text in tried.items() if text not in refusals} == {}
        assert {says(node, burglar, f"/{quote(name)}") for name in who["allowed"]} == {"done: None"}
        assert says(node, victim) == SECRET
    server.ssh("verify", "burglar").ok()


KEEPS = """\
import os
from buildless.secret import get_secret
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{get_secret()} {oct(os.stat(os.environ['APP_SECRET_FILE']).st_mode & 0o777)}".encode()]
"""


def test_all_nodes_of_an_environment_have_the_same_secret(server, web):
    app = server.app("signer")
    app.commit("Sign", {**hello(""), "hello.py": KEEPS})
    app.push().ok()
    said = {says(node, app) for node in web}
    assert len(web) > 1 and len(said) == 1
    secret, mode = said.pop().split()
    assert len(secret) == 64 and mode == "0o640"
    assert secret not in "".join(path.read_text() for path in (server.home / "deploys").rglob("*") if path.is_file())


def test_the_units_are_hardened(victim, web):
    said = web[0].ssh("systemd-analyze", "security", "--no-pager", f"app-{victim.name}-web@v1.service", check=False)
    score = re.search(r"Overall exposure level for .*: ([\d.]+)", said)
    assert score and float(score[1]) < 4, said


def test_environments_of_one_app_are_strangers_to_each_other(server, victim, web):
    app = server.app("twin")
    app.commit("Look around", {
        **hello(""), "hello.py": hello("%s")["hello.py"].replace("b\"%s\"", "str(os.listdir('/srv/apps')).encode()").replace(
            "def application", "import os\ndef application"),
    })  # fmt: skip
    app.push().ok()
    app.push("staging", "master").ok()
    assert says(web[0], app) == "['twin']" and says(web[0], "twin.staging.localhost") == "['twin.staging']"


@pytest.mark.parametrize(
    "location",
    [
        "a.example.com; root /", "'a.example.com { }'", "\"a.example.com\\nroot /;\"", "$host", "'*.example.com'", "~^.*$", "_",
        "a.example.com/../x", "'a..b'", "-a.example.com",
    ],
)  # fmt: skip
def test_a_location_that_is_more_than_a_name_is_refused(shop, web, location):
    shop.commit("Be clever", {**hello(""), "app.yaml": f"{PYTHON}locations: [{location}]\n"})
    assert errors(shop.push())[0].startswith("app.yaml:3: locations: ")


@pytest.mark.parametrize("static", ["..", "/etc", "a/../..", "~root", "-x"])
def test_a_directory_of_files_outside_of_the_tree_is_refused(shop, static):
    shop.commit("Be clever", {**hello(""), "app.yaml": f"{PYTHON}static: {static}\n"})
    assert errors(shop.push())[0].startswith("app.yaml:3: static: ")


def test_what_is_odd_but_right_means_what_it_says(shop, web):
    """Names and values that would do harm in a configuration file do none, as they get into none."""
    odd = 'we;ird {$host} "dir" %i'
    value = 'x"\nExecStart=/bin/false\n$uri; %n \\'
    code = "import os\n" + hello("%s")["hello.py"].replace('b"%s"', "os.environ['ODD'].encode()")
    description = f"{PYTHON}static: {json.dumps(odd)}\nenv:\n  ODD: {json.dumps(value)}\nping: /$request_uri;x\n"
    shop.commit("A subject; $host }\x1b[31m", {"app.yaml": description, "hello.py": code, f"{odd}/a.txt": "found"})
    done = shop.push().ok()
    assert "\x1b[31m" not in done.text
    for node in web:
        assert says(node, shop) == value and says(node, shop, "/a.txt") == "found"
        written = (node.root / f"etc/nginx/gitdeploy/{shop.name}.map").read_text()
        units = [path.read_text() for path in (node.root / "etc/systemd/system").glob(f"app-{shop.name}-web@.*")]
        assert len(units) == 2 and not any(
            "ird" in text or "ExecStart=/bin/false" in text for text in (written, *units)
        )


def test_nginx_is_asked_before_its_configuration_counts(shop, web):
    broken = web[1].root / "etc/nginx/gitdeploy/0-broken.map"  # no name of an app: what is left of such goes
    broken.write_text("server { listen nowhere; }\n")
    try:
        shop.commit("Sell apples", hello("apples"))
        with unchanged(shop.name, *web):
            done = shop.push()
        [error] = errors(done)
        assert (
            error.startswith(f"web2: nginx does not take the configuration of {shop.name}: ")
            and "0-broken.map" in error
        )
    finally:
        broken.unlink()
    shop.push().ok()
    assert [says(node, shop) for node in web] == ["apples", "apples"]


@pytest.mark.parametrize(
    "request_",
    [
        {"verb": "survey", "app": "../../etc", "debs": [], "python": None},
        {"verb": "survey", "app": "shop", "debs": [], "python": "/tmp/python3"},
        {"verb": "activate", "app": "victim", "release": "../../../etc"},
        {"verb": "install", "debs": ["-oDpkg::Pre-Invoke::=id"], "answers": [], "timeout": 10},
        {"verb": "receive", "app": "victim", "version": "../x", "base": None, "without": []},
        {"verb": "check", "app": "victim", "release": "v1", "host": "a\r\nX: y", "path": "/", "timeout": 5},
        {"verb": "__class__"},
    ],
)  # fmt: skip
def test_the_agent_looks_again_at_what_the_server_asks(victim, web, request_):
    """Whoever has the server's key has no more than its verbs, and these take no path that leads elsewhere."""
    before = running(web[0], victim.name)
    said = web[0].ssh("/usr/lib/gitdeploy/node", stdin=json.dumps({"id": 1, **request_}).encode() + b"\n")
    answer = json.loads(said.splitlines()[-1])
    assert "error" in answer and "ok" not in answer
    assert running(web[0], victim.name) == before


def test_the_header_of_the_check_means_nothing_to_others(victim, shop, web):
    shop.commit("Sell apples", hello("apples"))
    shop.push().ok()
    answer = get(web[0], f"{shop.name}.localhost", "/", {"X-Gitdeploy-Release": f"{victim.name}/v1"})
    assert answer.text == "apples"


def test_the_longest_names_have_users_and_sockets_of_their_own(server, web):
    """A name of 41 letters is cut in the name of a user, where two apps must not become one."""
    users = set()
    for last in "xy":
        app = server.app("n" * 40 + last)
        app.commit("Be long", {**hello(""), "hello.py": "import os, pwd\n" + hello("%s")["hello.py"].replace(
            'b"%s"', "pwd.getpwuid(os.getuid()).pw_name.encode()")})  # fmt: skip
        app.push("staging", "master").ok()
        users.add(says(web[0], f"{app.name}.staging.localhost"))
    assert len(users) == 2 and all(user.startswith("app-nnn") and len(user) == 32 for user in users)
