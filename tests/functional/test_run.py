"""One-off commands of what is live: who they run as, what they are given, how they end. On the embedded node, through OpenSSH."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .client import alice, somebody
from .session import HELLO, LIMIT, PYTHON, App, Running, Server, eventually
from .terminal import Terminal

SHOW = """\
import os, sys
from buildless.secret import get_secret
print(sys.argv[1:], os.getcwd().rpartition("/versions/")[0][-9:], os.environ["APP_ENVIRONMENT"], os.environ["APP_RELEASE"])
print(len(get_secret()), sys.stdin.isatty(), "SSH_CONNECTION" in os.environ)
sys.stderr.write("to stderr\\n")
sys.exit(7)
"""
COUNT = "import sys\ndata = sys.stdin.buffer.read()\nprint(len(data), sum(data) % 251)\n"
ECHO = "import sys\nfor line in sys.stdin:\n    print('got', line.strip(), flush=True)\n"
MANY = "import sys\nfor number in range(200000):\n    print('plum', number)\n"
WAIT = """\
import os, subprocess, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
child = subprocess.Popen(["sleep", "601"])
open(sys.argv[1] + ".child", "w").write(str(child.pid))
print("waiting", flush=True)
time.sleep(600)
"""
SIZE = """\
import os, select, signal, sys
news = []  # a handler may run anywhere, and what it says would stand in the middle of a line
signal.signal(signal.SIGWINCH, lambda *_: news.append("size"))
signal.signal(signal.SIGINT, lambda *_: news.append("interrupted"))
def tell(): print("size", *os.get_terminal_size(), os.environ["TERM"], flush=True)
tell()
print("ask> ", end="", flush=True)
while True:
    while news:
        tell() if (what := news.pop(0)) == "size" else print(what, flush=True)
    if not select.select([0], [], [], 0.05)[0]:
        continue
    line = os.read(0, 100).decode().strip()
    if line == "quit":
        sys.exit(5)
    print("heard", line, flush=True)
"""
FILES = {
    "app.yaml": PYTHON + "paths: lib\n", "lib/fruits.py": "ALL = ['apple', 'pear']\n",
    "hello.py": "print('begun')\n" + HELLO % "one",
    "bin/show.py": SHOW, "bin/count.py": COUNT, "bin/echo.py": ECHO, "bin/many.py": MANY, "bin/wait.py": WAIT,
    "bin/size.py": SIZE, "bin/sort.sh": 'echo "$APP_NAME $1" >&2; exit 3\n',
    "tasks.py": "def add(*words):\n    return '+'.join(words)\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def app(server: Server) -> App:
    made = server.app("fruit")
    made.commit("Commands", FILES)
    made.push().ok()
    return made


@pytest.fixture
def terminal(server: Server) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def open_one(*words: str) -> Terminal:
        argv = alice(server).argv(*words, options=["-t"])
        made.append(Terminal(argv, {**server.env, "TERM": "xterm-256color"}))
        return made[-1]

    yield open_one
    for one in made:
        one.close()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_the_environment_the_arguments_both_streams_and_the_exit_status(server: Server, app: App) -> None:
    done = alice(server).ssh("run", "fruit", "bin/show.py", "--all", "'a  b'")
    assert done.status == 7
    assert done.out == "['--all', 'a  b'] pps/fruit production v1\n64 False False\n"
    assert done.err == "to stderr\n"


def test_the_four_forms(server: Server, app: App) -> None:
    person = alice(server)
    assert person.ssh("run", "fruit", "/").ok().out == "begun\none\n"
    assert person.ssh("run", "fruit", "tasks:add", "a", "b").ok().out == "a+b\n"
    sorted_ = person.ssh("run", "fruit", "bin/sort.sh", "x")
    assert (sorted_.status, sorted_.out, sorted_.err) == (3, "", "fruit x\n")
    nothing = person.ssh("run", "fruit", "bin/nothing.py")
    assert nothing.status == 127 and "there is no such file in the tree; commit it" in nothing.err


def test_a_program_that_is_installed(server: Server, app: App) -> None:
    """Python is the application's own, and so is every one that a program starts."""
    person = alice(server)
    code = "'import tasks, fruits; print(tasks.add(*fruits.ALL))'"
    assert person.ssh("run", "fruit", "python", "-c", code).ok().out == "apple+pear\n"
    code = "'python3 -c \"import fruits; print(fruits.ALL[0])\"; echo $APP_NAME'"
    assert person.ssh("run", "fruit", "sh", "-c", code).ok().out == "apple\nfruit\n"
    nothing = person.ssh("run", "fruit", "peel")
    assert nothing.status == 127
    assert "'peel': there is no such file in the tree, and no such program is installed; commit it" in nothing.err


def test_standard_input_is_sent_along_to_its_end(server: Server, app: App) -> None:
    data = bytes(range(256)) * 20_000
    done = alice(server).ssh("run", "fruit", "bin/count.py", stdin=data).ok()
    assert done.out == f"{len(data)} {sum(data) % 251}\n"
    assert alice(server).ssh("run", "fruit", "bin/count.py", stdin=b"").ok().out == "0 0\n"
    unread = alice(server).ssh("run", "fruit", "tasks:add", "a", stdin=data)  # nobody reads it
    assert unread.ok().out == "a\n"


def test_what_it_writes_comes_whole(server: Server, app: App) -> None:
    out = alice(server).ssh("run", "fruit", "bin/many.py").ok().out
    assert out == "".join(f"plum {number}\n" for number in range(200_000))


def test_it_answers_while_it_is_talked_to(server: Server, app: App, running: Callable[[Running], Running]) -> None:
    argv = alice(server).argv("run", "fruit", "bin/echo.py")
    one = running(Running(argv, server.env, server.user, subprocess.PIPE))
    assert one.process.stdin is not None
    for word in ("plums", "pears"):
        one.process.stdin.write(f"{word}\n".encode())
        one.process.stdin.flush()
        one.until(f"got {word}")
    one.process.stdin.close()
    assert one.process.wait(LIMIT) == 0


@pytest.mark.parametrize("way", ["Ctrl-C", "lost"])
def test_it_ends_with_the_one_who_asked(
    server: Server, app: App, running: Callable[[Running], Running], way: str
) -> None:
    note = server.top / f"pid-{way}"
    one = running(alice(server).start("run", "fruit", "bin/wait.py", str(note)))
    one.until("waiting")
    pids = [int(note.read_text()), int(Path(f"{note}.child").read_text())]
    assert all(map(alive, pids))
    one.interrupt(signal.SIGINT if way == "Ctrl-C" else signal.SIGKILL)
    eventually("nothing of it is left", lambda: not any(map(alive, pids)))


def test_its_time_is_limited(server: Server, app: App) -> None:
    note = server.top / "pid-late"
    done = alice(server).ssh("run", "--timeout", "1", "fruit", "bin/wait.py", str(note))
    assert done.status == 124 and "it did not end within 1 s" in done.err
    assert not alive(int(Path(f"{note}.child").read_text()))


def test_a_terminal(terminal: Callable[..., Terminal], app: App) -> None:
    talk(terminal("run", "fruit", "bin/size.py"))


def talk(one: Terminal) -> None:
    """What somebody does at the terminal of bin/size.py, and what comes back."""
    one.until("size 80 24 xterm-256color\r\n")
    one.until("ask> ")
    one.type("plums\r")
    one.until("heard plums\r\n")
    one.resize(30, 100)
    one.until("size 100 30 xterm-256color\r\n")
    one.type("\x03")
    one.until("interrupted\r\n")
    one.type("quit\r")
    assert one.wait() == 5


def test_a_shell_is_a_python_with_the_application(terminal: Callable[..., Terminal], app: App) -> None:
    one = terminal("shell", "fruit")
    one.until("fruit in the environment production")
    one.type("import tasks; print('=', tasks.add('a', 'b'))\r")
    one.until("= a+b")
    one.type("exit()\r")
    assert one.wait() == 0


def test_other_commands_look_right_in_a_terminal(terminal: Callable[..., Terminal], app: App) -> None:
    one = terminal("apps")
    one.until("fruit")
    assert one.wait() == 0 and "\n" not in one.seen.replace("\r\n", "")
    following = terminal("logs", "fruit", "-f")
    following.until("v1 web | begun\r\n")
    following.type("\x03")
    assert following.wait() == 130


def test_what_is_refused(server: Server, app: App) -> None:
    person = alice(server)
    assert "usage: run" in person.ssh("run").err
    assert person.ssh("run", "fruit").status == 2
    assert "there is no app 'fruits'; did you mean fruit?" in person.ssh("run", "fruits", "x").err
    assert "write seconds, at most 86400" in person.ssh("run", "--timeout", "0", "fruit", "x").err
    nothing = person.ssh("run", "staging/fruit", "/")
    assert nothing.status == 1 and "nothing of fruit.staging is live here; push it first" in nothing.err
    stranger = somebody(server, "mallory").ssh("run", "fruit", "/")
    assert stranger.status == 255 and "Permission denied" in stranger.err
