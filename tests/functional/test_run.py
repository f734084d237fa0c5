"""One-off commands of what is live: who they run as, what they are given, how they end. On the embedded node, through OpenSSH."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from .client import alice, somebody
from .session import HELLO, LIMIT, PYTHON, App, Done, Running, Server, eventually, run
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


def test_it_ends_with_one_who_is_lost_while_it_reads_nothing(
    server: Server, app: App, running: Callable[[Running], Running]
) -> None:
    """There is more of his input than anybody has room for."""
    note = server.top / "pid-full"
    with Path("/dev/zero").open("rb") as zeros:
        one = running(
            Running(
                alice(server).argv("run", "fruit", "bin/wait.py", str(note)), server.env, server.user, zeros.fileno()
            )
        )
    one.until("waiting")
    one.interrupt(signal.SIGKILL)
    eventually("nothing of it is left", lambda: not alive(int(note.read_text())))


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


# With files of the person's own, from a checkout: gitdeploy run --remote.

READ = """\
import hashlib, os, sys
for path in sys.argv[1:]:
    before, equals, name = path.rpartition("=")
    data = open(name, "rb").read() if os.path.isabs(name) else None
    print([before + equals, os.path.basename(name), data and hashlib.sha256(data).hexdigest(), data and len(data)])
print(len({os.path.basename(os.path.dirname(path)) for path in sys.argv[1:]}), sys.stdin.read())
sys.exit(9)
"""


def there(
    app: App, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, remote: str = "deploy"
) -> Done:
    argv = [sys.executable, "-m", "gitdeploy", "run", "--remote", remote, *words]
    return run(argv, {**app.server.env, **(env or {})}, app.directory, stdin)


def sent(server: Server) -> list[Path]:
    """The directories of files that somebody sent."""
    return list((server.home / "node" / "var" / "cache" / "apps").glob("*/*run-*"))


@pytest.fixture(scope="module")
def basket(server: Server) -> App:
    made = server.app("basket")
    made.commit("Commands", {**FILES, "bin/read.py": READ, "data/kept.csv": "kept"})
    for remote in ("deploy", "staging"):
        made.push(remote, "master").ok()
    return made


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_files_that_are_arguments_are_sent_along(server: Server, basket: App, tmp_path: Path) -> None:
    names = [
        "two words.csv",
        'it\'s "quoted" $HOME.csv',
        "line\nline.csv",
        "-x",
        "#",
        b"\xff.csv".decode(errors="surrogateescape"),
    ]
    contents = {name: bytes(range(256)) + os.fsencode(name) for name in names}
    for name, data in contents.items():
        (basket.directory / name).write_bytes(data)
    (tmp_path / "#").write_bytes(b"another")
    done = there(
        basket, "bin/read.py", *names, "--from=two words.csv", str(tmp_path / "#"), "nothing.csv", stdin=b"typed"
    )
    assert done.status == 9, done.text
    *lines, last = done.out.splitlines()
    said = [["", name, digest(data), len(data)] for name, data in contents.items()]
    said += [["--from=", "two words.csv", digest(contents["two words.csv"]), len(contents["two words.csv"])]]
    said += [["", "#", digest(b"another"), 7], ["", "nothing.csv", None, None]]
    assert lines == [str(one) for one in said]
    assert last == f"{len(said)} typed"
    assert "-----> Sending two words.csv, it's \"quoted\" $HOME.csv, 'line\\nline.csv', -x" in done.err
    eventually("nothing of them is left", lambda: not sent(server))


def test_what_is_in_the_tree_is_there_already(basket: App) -> None:
    done = there(basket, "bin/read.py", "data/kept.csv", "./data/kept.csv")
    assert done.status == 9 and done.out.splitlines()[:2] == [
        "['', 'kept.csv', None, None]", f"['', 'kept.csv', '{digest(b'kept')}', 4]"
    ]  # fmt: skip


def test_without_files_it_is_the_servers_command(basket: App) -> None:
    done = there(basket, "bin/show.py", "--", "-a", "a  b", "$HOME", "", "'")
    assert done.status == 7 and done.err == "to stderr\n"
    assert done.out == "['--', '-a', 'a  b', '$HOME', '', \"'\"] ps/basket production v1\n64 False False\n"
    assert there(basket, "bin/show.py", remote="staging").out.startswith("[] t.staging staging v1")
    assert there(basket, "bin/count.py", stdin=b"\0\xff" * 9).ok().out == f"18 {255 * 9 % 251}\n"


def test_a_big_file_is_in_nobodys_memory(server: Server, basket: App, tmp_path: Path) -> None:
    size = 700_000_000
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    code = "import os, sys; print(os.path.getsize(sys.argv[1]), open(sys.argv[1], 'rb').read(4))"
    done = there(basket, "python", "-c", code, str(tmp_path / "big"))
    assert done.ok().out == f"{size} b'\\x00\\x00\\x00\\x00'\n"
    assert server.process is not None
    assert memory(server.process.pid) < 300_000_000
    eventually("nothing of it is left", lambda: not sent(server))


def memory(pid: int) -> int:
    """The most bytes of memory that a process has had (proc(5), VmHWM)."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("way", ["Ctrl-C", "lost", "killed"])
def test_files_go_with_whoever_sent_them(
    server: Server, basket: App, running: Callable[[Running], Running], way: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("plums")
    note = server.top / f"pid-files-{way}"
    argv = [
        sys.executable,
        "-m",
        "gitdeploy",
        "run",
        "--remote",
        "deploy",
        "bin/wait.py",
        str(note),
        str(tmp_path / "a.csv"),
    ]
    one = running(Running(argv, server.env, basket.directory))
    one.until("waiting")
    assert len(sent(server)) == 1
    pids = [int(note.read_text()), int(Path(f"{note}.child").read_text())]
    if way == "killed":
        one.process.kill()
    else:
        one.interrupt(signal.SIGINT if way == "Ctrl-C" else signal.SIGKILL)
    eventually("nothing of it is left", lambda: not sent(server) and not any(map(alive, pids)))
    one.process.wait(LIMIT)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_files_that_are_on_their_way_go_too(
    server: Server, basket: App, running: Callable[[Running], Running], tmp_path: Path, number: int, status: int
) -> None:
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(1 << 40)
    argv = [sys.executable, "-m", "gitdeploy", "run", "--remote", "deploy", "bin/echo.py", str(tmp_path / "endless")]
    one = running(Running(argv, server.env, basket.directory))
    eventually(
        "they are on their way", lambda: any(path.stat().st_size for top in sent(server) for path in top.rglob("*"))
    )
    one.interrupt(number)
    assert one.process.wait(LIMIT) == status
    eventually("nothing of them is left", lambda: not sent(server))


def test_a_terminal_with_files(server: Server, basket: App, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("plums")
    argv = [sys.executable, "-m", "gitdeploy", "run", "--remote", "deploy", "bin/size.py", str(tmp_path / "a.csv")]
    one = Terminal(argv, {**server.env, "TERM": "xterm-256color"}, basket.directory)
    try:
        talk(one)
    finally:
        one.close()
    eventually("nothing of them is left", lambda: not sent(server))


def test_a_shell_of_a_remote(server: Server, basket: App) -> None:
    argv = [sys.executable, "-m", "gitdeploy", "shell", "--remote", "staging"]
    one = Terminal(argv, {**server.env, "TERM": "xterm-256color"}, basket.directory)
    try:
        one.until("basket in the environment staging")
        one.type("exit()\r")
        assert one.wait() == 0
    finally:
        one.close()


def test_what_is_refused_of_a_remote(server: Server, basket: App, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("plums")
    file = str(tmp_path / "a.csv")
    assert "No such remote 'nowhere'" in there(basket, "x", remote="nowhere").err
    basket.git("remote", "add", "web", "https://example.com/shop")
    assert "'https://example.com/shop' is no address of a server" in there(basket, "x", remote="web").err
    assert "write a remote and a command" in there(basket).err
    missing = there(basket, "bin/nothing.py", file)
    assert missing.status == 127 and "there is no such file in the tree" in missing.err
    basket.git("remote", "add", "other", f"ssh://deploy@127.0.0.1:{server.ssh_port}/staging/fruit")
    nothing = there(basket, "x", file, remote="other")
    assert nothing.status == 1 and "gitdeploy: the files could not be sent; see above" in nothing.err
    assert (
        alice(server)
        .ssh("run", "--files", "embedded/run-0123456789abcdef", "basket", "x")
        .err.endswith("the files that were sent are gone; send them again\n")
    )
    assert "is no name of a directory" in alice(server).ssh("run", "--files", "embedded/..", "basket", "x").err
    assert sent(server) == []
