import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from buildless.notify import Notify
from buildless.web import TOLD, Boot

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "apps"


def test_the_application_gets_its_environment_and_nothing_else(web):
    site = web("hello", processes=2, environ={"GREETING": "hi"})
    pids = site.ready(2)
    seen = json.loads(site.get("/", {"X-Forwarded-Proto": "https"}).body)
    assert seen["pid"] in pids
    assert seen["cwd"] == str(APPS / "hello")
    assert seen["path"][:2] == [str(APPS / "hello"), str(APPS / "hello" / "vendor")]
    assert str(ROOT) not in seen["path"]
    assert seen["greeting"] == "hello from a vendored library"
    assert seen["scheme"] == "https"
    ours = {"PATH", "PYTHONPYCACHEPREFIX", "GREETING"}
    assert set(seen["environ"]) - {"SERVER_SOFTWARE", "LC_CTYPE"} == ours
    assert not site.readable(0), "GUNICORN_CMD_ARGS was followed"


def test_nothing_is_written_into_the_tree(web, home):
    site = web("hello")
    site.ready(1)
    assert not list((APPS / "hello").rglob("__pycache__"))
    assert list((home / "pycache").rglob("greeting.*.pyc"))


def test_start_and_stop_say_only_what_the_application_says(web):
    site = web("hello", processes=2)
    site.ready(2)
    site.said("hello is loaded", times=2)
    site.process.terminate()
    assert site.wait() == 0
    assert site.output == "hello is loaded\n" * 2


def test_a_runner_may_have_any_name(web):
    site = web("odd")
    site.ready(1)
    assert site.get("/").body == str(APPS / "odd").encode()


def test_ready_is_said_only_when_the_application_is_loaded(web, home):
    site = web("hostile", processes=2, environ={"LOAD_AFTER": str(home / "gate")})
    site.said("loading")
    assert not site.readable(0.3)
    (home / "gate").touch()
    site.ready(2)


def test_one_process_compiles_the_application_for_all(web, home):
    site = web("hostile", processes=4, environ={"LOAD_AFTER": str(home / "gate")})
    site.said("loading")
    assert not site.readable(0.5)
    assert site.output == "loading\n"
    (home / "gate").touch()
    site.ready(4)
    site.said("loading", times=4)


def test_where_it_is_compiled_all_load_it_at_once(web, home):
    compiled = home / "pycache" / APPS.relative_to("/") / "hostile"
    compiled.mkdir(parents=True)
    site = web("hostile", processes=4, environ={"LOAD_AFTER": str(home / "gate")})
    site.said("loading", times=4)
    (home / "gate").touch()
    site.ready(4)


def test_systemd_is_told_when_every_process_has_loaded_the_application(web, home):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(home / "notify"))
        environ = {"LOAD_AFTER": str(home / "gate")}
        site = web("hostile", processes=2, environ=environ, outside={"NOTIFY_SOCKET": str(home / "notify")})
        site.said("loading")
        manager.settimeout(0.3)
        with pytest.raises(socket.timeout):
            manager.recv(100)
        (home / "gate").touch()
        manager.settimeout(15)
        assert manager.recv(100) == b"READY=1"


def test_a_release_that_is_not_live_sleeps_when_nobody_asks(web):
    site = web("hello", processes=2, linger=3.0)
    site.ready(2)
    for _ in range(8):  # for longer than that, and much more often
        time.sleep(0.5)
        assert site.get("/").status == 200
    assert site.wait(15) == 0
    assert site.output == "hello is loaded\n" * 2


def test_the_live_release_does_not_sleep(web, home):
    site = web("hello", linger=0.3)
    (home / "live").symlink_to("releases/v1")
    site.ready(1)
    time.sleep(1.5)
    assert site.process.poll() is None
    (home / "live").unlink()
    assert site.wait(15) == 0


def test_a_request_that_takes_long_keeps_it_awake(web, home):
    site = web("hostile", linger=0.3, request=10, environ={})
    site.ready(1)
    with site.connect() as client:
        client.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(4096), b"")).count(b"piece;") == 10


def test_libraries_stand_after_the_paths_of_the_tree(web, home):
    (home / "wheels").mkdir()
    site = web("hello", libraries=[str(home / "wheels")])
    site.ready(1)
    path = json.loads(site.get("/").body)["path"]
    assert path[:3] == [str(APPS / "hello"), str(APPS / "hello" / "vendor"), str(home / "wheels")]


def written_by_us(site):
    """Without what Python 3.11 and later underline with."""
    return [line for line in site.output.splitlines() if line.strip(" ^~")]


def test_an_application_that_does_not_load_shows_its_own_traceback_once(web):
    site = web("broken", processes=4)
    assert site.wait() == 4, site.output
    lines = written_by_us(site)
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{APPS}/broken/broken.py", line 3, in <module>',
        "    import a_library_that_is_not_there  # noqa: F401",
        "ModuleNotFoundError: No module named 'a_library_that_is_not_there'",
        "broken:application cannot be loaded: ModuleNotFoundError: No module named 'a_library_that_is_not_there'; "
        "put it in the tree and its directory in `paths:`, or name the package that has it under `deb:`",
    ]
    assert not site.readable(0) or os.read(site.pipe, 1) == b""


OTHER = """\
import fcntl, signal, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))
print(flush=True)
signal.pause()
"""


def test_who_is_killed_while_he_says_why_lets_another_say_it(capfd):
    boot = Boot(None, Notify(None, 1))
    argv = [sys.executable, "-c", OTHER, f"/proc/{os.getpid()}/fd/{boot.file}", str(TOLD)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"\n"
        boot.tell("too early")
        assert not boot.over
        other.kill()
    for text in ("why", "once is enough"):
        boot.tell(text)
        assert boot.over
    assert capfd.readouterr().err == "why\n"
    os.close(boot.file)


@pytest.mark.parametrize("end", ["os.abort()", "os._exit(3)", "os._exit(4)", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_process_that_dies_while_it_loads_ends_all(web, home, end):
    site = web(written(home / "app", {"app.yaml": YAML, "shop.py": f"import os\n{end}\n", "lib/x": ""}), processes=3)
    assert site.wait() == 4, site.output
    assert site.output.count("a process died while it loaded the application") == 1
    assert "Traceback" not in site.output


LATE = "import os, time\nos.register_at_fork(after_in_parent=lambda: time.sleep(0.5))\n"


def test_one_that_dies_during_a_call_after_a_fork_ends_all(web, home):
    """After a fork there are calls of Python's own, such as logging's, and what is raised in them is said, and that is all.

    The first process ends after the call for itself, and during the one for the second.
    """
    outside = written(home / "outside", {"sitecustomize.py": LATE})
    app = written(
        home / "app", {"app.yaml": YAML, "shop.py": "import os, time\ntime.sleep(0.7)\nos._exit(3)\n", "lib/x": ""}
    )
    site = web(app, processes=3, outside={"PYTHONPATH": str(outside)})
    assert site.wait() == 4, site.output
    assert site.output.count("a process died while it loaded the application") == 1
    assert "ignored" not in site.output


DIES_WHILE_IT_SAYS_WHY = """\
import os, signal
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
read, write = os.pipe()
os.close(read)
os.dup2(write, 2)  # where it is said
raise RuntimeError("this is why")
"""


@pytest.mark.parametrize("processes", [1, 3])
def test_one_that_is_killed_while_it_says_why_the_application_does_not_load_ends_all(web, home, processes):
    app = written(home / "app", {"app.yaml": YAML, "shop.py": DIES_WHILE_IT_SAYS_WHY, "lib/x": ""})
    site = web(app, processes=processes)
    assert site.wait() == 4, site.output
    assert site.output.count("a process died while it loaded the application") == 1


def written(directory, files):
    """An application of these files."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


YAML = "platform: python, wsgi\napp: shop:application\npaths: lib\n"


def test_a_sitecustomize_that_fails_is_reported_like_a_module_of_the_application(web, home):
    app = written(
        home / "app", {"app.yaml": YAML, "shop.py": "", "lib/sitecustomize.py": "import os\nos.environ['KEY']\n"}
    )
    site = web(app, processes=2)
    assert site.wait() == 4
    lines = written_by_us(site)
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{app}/lib/sitecustomize.py", line 2, in <module>',
        "    os.environ['KEY']",
        *lines[3:-2],  # the frames of the standard library
        "KeyError: 'KEY'",
        "lib/sitecustomize.py cannot be run: KeyError: 'KEY'",
    ]


SHOWS = """
import json, os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    found = {name: repr(value) for name, value in environ.items() if "internal" in name.lower()}
    return [json.dumps([found, environ.get("buildless.internal"), os.environ.get("SETTING")]).encode()]
"""


def test_a_request_from_outside_has_no_mark_of_one_from_inside_and_sitecustomize_has_run(web, home):
    setting = "import os\nos.environ['SETTING'] = 'there'\n"
    site = web(written(home / "app", {"app.yaml": YAML, "shop.py": SHOWS, "lib/sitecustomize.py": setting}))
    site.ready(1)
    names = ("buildless.internal", "Buildless-Internal", "BUILDLESS_INTERNAL", "HTTP_BUILDLESS.INTERNAL")
    for name in names:
        answer = site.get("/buildless.internal?buildless.internal=True", {name: "True"})
        if answer.status == 200:  # some names gunicorn does not take at all
            found, mark, set_up = json.loads(answer.body)
            assert mark is None and set_up == "there"
            assert all(key.startswith("HTTP_") or key in ("RAW_URI", "PATH_INFO", "QUERY_STRING") for key in found)
    assert json.loads(site.get("/").body) == [{}, None, "there"]


def test_a_process_that_cannot_load_later_does_not_end_the_others(web, home):
    site = web("hostile", processes=2, environ={"FAIL_IF": str(home / "flag")})
    first, second = site.ready(2)
    (home / "flag").touch()
    os.kill(first, signal.SIGKILL)
    site.said("RuntimeError: told to fail", times=2)
    assert site.get("/").body == b"%d" % second
    (home / "flag").unlink()
    site.ready(1)


def test_an_exit_status_that_is_one_of_gunicorns_does_not_end_the_others(web, home):
    ends = "import os\ndef application(environ, start_response):\n    os._exit(int(environ['PATH_INFO'][1:]))\n"
    site = web(written(home / "app", {"app.yaml": YAML, "shop.py": ends, "lib/x": ""}), processes=2)
    site.ready(2)
    for status in (3, 4):
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            site.get(f"/{status}")
        site.ready(1)
    assert site.process.poll() is None


def test_sigterm_finishes_what_was_accepted(web):
    site = web("hostile", request=5)
    site.ready(1)
    with site.connect() as client:
        client.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        received = b""
        while b"piece;" not in received:
            received += client.recv(4096)
        site.process.terminate()
        received += b"".join(iter(lambda: client.recv(4096), b""))
    assert received.count(b"piece;") == 10
    assert site.wait() == 0


def test_the_socket_stays_where_it_is(web):
    site = web("hello")
    site.ready(1)
    site.process.terminate()
    site.wait()
    assert site.path.is_socket()


def test_a_hangup_changes_nothing(web):
    site = web("hello", processes=1)
    (pid,) = site.ready(1)
    os.kill(site.process.pid, signal.SIGHUP)
    assert json.loads(site.get("/").body)["pid"] == pid
    assert not site.readable(1.5)


def test_workers_die_with_their_master(web):
    site = web("hostile", processes=2, request=60)
    site.ready(2)
    with site.connect() as wedged:
        wedged.sendall(b"GET /lock HTTP/1.1\r\nHost: a\r\n\r\n")
        assert site.get("/").status == 200
        site.process.kill()
        assert wedged.recv(1) == b""
    assert not site.readable(10) or os.read(site.pipe, 1) == b""  # the last writer is gone
    site.reader.join(10)
    assert not site.reader.is_alive(), "somebody still holds its standard output"


def test_a_later_flip_of_links_does_not_mix_versions(web, home):
    for version in ("one", "two"):
        shutil.copytree(APPS / "hello", home / version)
        (home / version / "vendor" / "greeting.py").write_text(f"TEXT = {version!r}\n")
    (home / "current").symlink_to("one")
    site = web(home / "current")
    (pid,) = site.ready(1)
    (home / "new").symlink_to("two")
    (home / "new").rename(home / "current")
    os.kill(pid, signal.SIGKILL)
    site.ready(1)
    assert json.loads(site.get("/").body)["greeting"] == "one"


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "buildless.web", *args], cwd=ROOT, capture_output=True, text=True, timeout=30
    )


def test_a_release_without_a_web_process_is_refused(home):
    (home / "tree").mkdir()
    (home / "tree" / "app.yaml").write_text("name: pages\nplatform: static\n")
    (home / "settings").write_text('{"environ": {}, "web": {}}')
    done = run(str(home))
    assert (done.returncode, done.stderr) == (2, "a release whose platform is static has no web process to run\n")


def test_a_release_without_settings_is_refused(home):
    done = run(str(home))
    assert done.returncode == 2
    assert "deploy the release again" in done.stderr
