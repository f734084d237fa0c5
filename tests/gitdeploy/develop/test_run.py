"""Commands of an application where it is written: which directory is meant, what they are given, how they end."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

YAML = "platform: python, wsgi\napp: hello:application\nname: shop\npaths: lib\nenv: {FRUIT: plum}\n"
SHOW = """\
import os, sys, tone
from buildless.secret import get_secret
print(sys.argv[1:], os.getcwd(), os.environ["FRUIT"], os.environ["APP_ENVIRONMENT"], tone.LEVEL, len(get_secret()))
print(sys.stdin.read())
sys.exit(7)
"""
FILES = {
    "app.yaml": YAML,
    "hello.py": "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n",
    "lib/tone.py": "LEVEL = 3\n",
    "bin/show.py": SHOW,
    "bin/sort.sh": 'echo "$FRUIT" "$@" "${PYTEST_VERSION-not inherited}"; exit 3\n',
    "bin/wait.py": "import sys, time\nprint('waiting', flush=True)\ntime.sleep(600)\n",
}


@pytest.fixture
def shop(files, tmp_path):
    files(FILES, "shop")
    return tmp_path / "shop"


@pytest.fixture
def start(tmp_path):
    """Start the command line with whatever is given for its streams."""
    started = []

    def start(*argv, **how):
        env = {**os.environ, "HOME": str(tmp_path / "nobody")}
        started.append(subprocess.Popen([sys.executable, "-m", "gitdeploy", *argv], cwd=tmp_path, env=env, **how))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_command_has_the_terminal_the_arguments_and_the_exit_status(start, shop):
    process = start(
        "run", "shop", "bin/show.py", "-v", "--all", "a b", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    out, _ = process.communicate("apples", timeout=60)
    assert process.returncode == 7
    assert out == f"['-v', '--all', 'a b'] {shop} plum development 3 64\napples\n"


def test_the_four_forms(gitdeploy, shop):
    assert gitdeploy("run", "shop", "/") == "hello\n"
    assert gitdeploy("run", "/", cwd="shop") == "hello\n"
    assert gitdeploy("run", "bin/sort.sh", "x", cwd="shop", status=3, PYTEST_VERSION="9") == "plum x not inherited\n"
    assert gitdeploy("run", "shop", "builtins:str", "apples") == "apples\n"
    assert "['--', '-a', '--']" in gitdeploy("run", "shop", "bin/show.py", "--", "-a", "--", status=7)
    assert "['a']" in gitdeploy("run", ".", "bin/show.py", "a", cwd="shop", status=7)


def test_a_job_is_run_whatever_its_time_is(gitdeploy, shop, files):
    jobs = "cron:\n  nightly: 0 3 * * * bin/sort.sh all\n  names: {at: '@yearly', run: 'builtins:str apples', timeout: 5s}\n"
    assert "there is no job 'nightly' in app.yaml; name one there" in gitdeploy("cron", "nightly", cwd="shop", status=1)
    files({"shop/app.yaml": YAML + jobs})
    assert gitdeploy("cron", "nightly", cwd="shop", status=3) == "plum all not inherited\n"
    assert gitdeploy("cron", "shop", "names") == "apples\n"
    for words in (["shop", "nightl"], ["shop"], ["shop", "nightly", "names"]):
        assert "in app.yaml; write one of nightly, names" in gitdeploy("cron", *words, status=1)
    assert gitdeploy("cron", status=2).endswith("; usage: cron [DIR] NAME\n")
    assert (
        gitdeploy("cron", "--help") == "usage: cron [DIR] NAME\nrun a job of the application in its environment, now\n"
    )


def test_a_program_that_is_installed(gitdeploy, shop):
    code = "import os, sys; print(os.environ['APP_NAME'], 'gitdeploy' in sys.modules, os.path.basename(os.getcwd()))"
    assert gitdeploy("run", "python", "-c", code, cwd="shop") == "shop False shop\n"
    assert gitdeploy("run", "shop", "sh", "-c", "echo $APP_ENVIRONMENT") == "development\n"


def test_which_word_is_the_directory(gitdeploy, shop, files):
    assert gitdeploy("run", shop, "/") == "hello\n"
    files({"other/x": ""})
    assert "there is no app.yaml in other" in gitdeploy("run", "other", "x", status=1)
    assert "there is no app.yaml in" in gitdeploy("run", "bin/show.py", status=1)
    assert "'nothing': there is no such file in the tree, and no such program is installed" in gitdeploy(
        "run", "nothing", cwd="shop", status=1
    )
    assert "the command is empty" in gitdeploy("run", "shop", status=1)
    assert "usage: run [--remote REMOTE] [DIR] COMMAND" in gitdeploy("run", status=2)
    for words in (("--remote", "nowhere", "x"), ("--remote=nowhere", "x")):
        assert "git does not say where the server is" in gitdeploy("run", *words, status=1)
    files({"shop/app.yaml": YAML + "pats: x\n"})
    assert 'app.yaml:6: unknown key "pats"' in gitdeploy("run", "shop", "/", status=1)


def test_ctrl_c_is_the_commands_own(start, shop):
    process = start("run", "shop", "bin/wait.py", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in err and process.returncode != 0


def test_a_shell_is_a_python_with_the_application(start, shop):
    master, slave = pty.openpty()
    process = start("shell", "shop", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    until = time.monotonic() + 60
    os.write(master, b"import tone, os; print('level', tone.LEVEL, os.environ['FRUIT'], package.wsgi_app)\nexit()\n")
    while b"level 3 plum <function application" not in seen:
        assert time.monotonic() < until, seen
        seen += os.read(master, 4096)
    assert b"shop in the environment development" in seen
    assert process.wait(60) == 0
    os.close(master)


def test_a_shell_of_files_is_the_persons_own(start, files):
    files({"site/app.yaml": "platform: static\nenv: {FRUIT: plum}\n"})
    process = start("shell", "site", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate("echo $FRUIT $APP_NAME; exit 5\n", timeout=60)
    assert "plum site" in out and process.returncode == 5


TEST = """\
import os, unittest, tone
class Tests(unittest.TestCase):
    def test_tone(self):
        self.assertEqual(tone.LEVEL, int(os.environ.get("LEVEL", 3)))
    def test_secret(self):
        from buildless.secret import get_secret
        self.assertEqual(os.environ["FRUIT"] + get_secret()[:0], "plum")
"""


def test_the_tests_run_in_the_environment_of_the_application(gitdeploy, files, shop):
    files({"tests/test_tone.py": TEST, "tests/__init__.py": ""}, "shop")
    said = gitdeploy("test", "shop")
    assert "Running: python3 -m unittest" in said and "Ran 2 tests" in said and "OK" in said
    assert "test_tone" in gitdeploy("test", "-v", cwd="shop")
    files({"app.yaml": YAML.replace("FRUIT", "LEVEL: 4, FRUIT")}, "shop")
    assert "FAILED (failures=1)" in gitdeploy("test", "shop", status=1)


def test_pytest_runs_them_where_the_applications_python_has_it(gitdeploy, files, shop):
    (shop / ".venv").symlink_to(sys.prefix)
    files({"tests/test_tone.py": TEST}, "shop")
    said = gitdeploy("test", "shop", "-q")
    assert "Running: python3 -m pytest -q" in said and "2 passed" in said
