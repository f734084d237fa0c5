"""What the functional tests read like: a server, somebody with a key, a repository to push from; all real, all on loopback."""

from __future__ import annotations

import http.client
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LIMIT = 60.0  # seconds that anything may take that does not say otherwise
SMALL = "web: {processes: 1}\n"
HELLO = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s"]
"""
WAITING = """\
import os, time
while not os.path.exists("%s"):
    time.sleep(0.01)
"""
PYTHON = "platform: python, wsgi\napp: hello:application\n"


def hello(text: str) -> dict[str, str]:
    """The files of an application that answers `text`."""
    return {"app.yaml": PYTHON, "hello.py": HELLO % text}


def slow(text: str, gate: Path) -> dict[str, str]:
    """The files of one that does not start before the file `gate` is there."""
    return {"app.yaml": PYTHON, "hello.py": WAITING % gate + HELLO % text}


def eventually(what: str, true: Callable[[], object], limit: float = 10.0) -> None:
    """Look until `true` is, for what tells nobody when it happens: other processes, their files."""
    until = time.monotonic() + limit
    while not true():
        assert time.monotonic() < until, f"{what}: not within {limit:g} s"
        time.sleep(0.02)


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status, and all that it wrote."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def ok(self) -> Done:
        assert self.status == 0, f"exit status {self.status}\n{self.text}"
        return self

    def refused(self, reason: str) -> bool:
        """Whether it is a push that was refused: by its status, in git's own line, and in the lines above it."""
        assert self.status != 0, self.text
        rejected = "\n".join(line for line in self.err.splitlines() if line.startswith(" ! [remote rejected]"))
        above = "\n".join(line for line in self.err.splitlines() if line.startswith("remote: "))
        assert reason in rejected, f"{reason!r} is not in {rejected!r}\n{self.text}"
        assert reason in above, f"{reason!r} is not in the lines above\n{self.text}"
        return True

    @property
    def sent(self) -> tuple[int, int]:
        """Objects and bytes of the pack that a push sent; (0, 0) if it sent none. Of ``git push --progress``."""
        objects = re.search(r"Writing objects: 100% \((\d+)/\1\), ([\d.]+) (bytes|KiB|MiB|GiB)", self.err)
        if objects is None:
            return 0, 0
        units = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
        return int(objects[1]), int(float(objects[2]) * units[objects[3]])


@dataclass(frozen=True)
class Answer:
    """What the web said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Running:
    """A command under way, in a process group of its own as a terminal would give it; what it writes is read all the time."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: int = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )  # fmt: skip
        self.seen = ""
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self.news:
                self.seen += data.decode("utf-8", "replace")
                self.news.notify_all()

    def until(self, text: str, limit: float = LIMIT) -> None:
        """Wait until it has written `text`."""
        with self.news:
            assert self.news.wait_for(lambda: text in self.seen, limit), f"no {text!r} in {limit:g} s:\n{self.seen}"

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """What Ctrl-C does: the signal goes to the whole group."""
        os.killpg(self.process.pid, number)

    def wait(self, limit: float = LIMIT) -> Done:
        """Its end; all that it wrote is in both `out` and `err`, as it goes to one terminal."""
        try:
            status = self.process.wait(limit)
            self.reader.join(limit)
        finally:
            self.close()
        return Done(status, "", self.seen)

    def close(self) -> None:
        """End it if it has not ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(LIMIT)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.reader.join(LIMIT)
        assert self.process.stdout is not None
        self.process.stdout.close()


def run(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: bytes | None = None, limit: float = LIMIT
) -> Done:
    """Run a command to its end, at most `limit` seconds; its whole process group ends with it."""
    with subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(stdin, limit)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Done(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def same(before: Mapping[int, str], now: Mapping[int, str]) -> bool:
    """Whether these are the same processes, but that an agent may have ended: after SIGHUP the server looks at its node."""
    gone = [line for pid, line in before.items() if pid not in now and "-m buildless.node --root" not in line]
    return now.keys() <= before.keys() and not gone


class Server:
    """A server on a home of its own below `top`, and alice, who has a key there. `module` is what python -m runs."""

    def __init__(self, top: Path, settings: str = SMALL, home: Path | None = None) -> None:
        self.top, self.home, self.user = top, home or top / "h", top / "alice"
        self.user.mkdir()
        self.log = top / "server.log"
        self.process: subprocess.Popen[str] | None = None
        self.ssh_port = self.http_port = 0
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "TMPDIR") if name in os.environ}
        self.env = {
            **kept, "HOME": str(self.user), "XDG_RUNTIME_DIR": str(top), "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": f"ssh -F {self.user}/ssh_config", "GIT_SSH_VARIANT": "ssh",
            "GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": "alice@example.com",
            "GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": "alice@example.com",
        }  # fmt: skip
        self.home.mkdir(mode=0o700, exist_ok=True)
        (self.home / "gitdeploy.yaml").write_text(settings)

    # Its life.

    def open(self) -> Server:
        """Start it for the first time, and let alice in."""
        self.key("key")
        self.start()
        self.gitdeploy("keys:add", "alice", stdin=(self.user / "key.pub").read_bytes()).ok()
        return self

    def start(self, module: str = "gitdeploy", **env: str) -> None:
        """Start it and wait until it is ready; on the same ports as before if it was started before."""
        ssh, http = (f"tcp:{port}:interface=127.0.0.1" for port in (self.ssh_port, self.http_port))
        argv = ["-m", module, "server", "--home", str(self.home), "--ssh", ssh, "--http", http]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, *argv], env={**self.env, **env}, cwd=self.top,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], LIMIT)[0] else ""
        found = re.fullmatch(r"ready ssh=127\.0\.0\.1:(\d+) http=127\.0\.0\.1:(\d+)\n", line)
        assert found, f"not ready: {line!r}\n{self.log.read_text()}"
        self.ssh_port, self.http_port = int(found[1]), int(found[2])
        self.write_ssh_config()

    def end(self, number: int = signal.SIGTERM, limit: float = LIMIT) -> int:
        """Send it a signal and wait for its end; returns the exit status (negative: a signal)."""
        if self.process is None:
            return 0
        try:
            self.process.send_signal(number)
            return self.process.wait(limit)
        finally:
            self.forget()

    def forget(self) -> None:
        """It has ended, or does now."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(LIMIT)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def gone(self, limit: float = LIMIT) -> None:
        """Wait until it has ended by itself, and everything that it started, too."""
        assert self.process is not None
        self.process.wait(limit)
        self.forget()
        eventually("nothing of the server runs", lambda: not self.processes(), limit)

    def close(self) -> None:
        """Stop it, and check that nothing of it is left and that it said nothing of defects."""
        try:
            self.end()
            eventually("nothing of the server runs", lambda: not self.processes(), 15)
            # (Conch itself calls a channel of a kind that we do not have critical; it is somebody who tries to forward.)
            critical = [line for line in self.log.read_text().splitlines() if "#critical]" in line]
            assert all(line.endswith("channel open failed") for line in critical), self.log.read_text()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)

    def reload(self, settings: str, says: str = "read gitdeploy.yaml again") -> None:
        """Write other settings and have them read; wait until the log says so."""
        assert self.process is not None
        before = self.log.read_text().count(says)
        (self.home / "gitdeploy.yaml").write_text(settings)
        self.process.send_signal(signal.SIGHUP)
        eventually(says, lambda: self.log.read_text().count(says) > before)

    @contextmanager
    def settings(self, text: str) -> Iterator[None]:
        """Other settings for a while."""
        before = (self.home / "gitdeploy.yaml").read_text()
        self.reload(text)
        try:
            yield
        finally:
            self.reload(before)

    # What is there of it.

    def processes(self) -> dict[int, str]:
        """Every process that has to do with the home, by its command line, environment or directory (proc(5))."""
        found, mark = {}, os.fsencode(self.home) + b"/"
        for path in Path("/proc").glob("[0-9]*"):
            try:
                line = (path / "cmdline").read_bytes()
                text = line + (path / "environ").read_bytes() + os.fsencode((path / "cwd").readlink()) + b"/"
            except OSError:
                continue
            own = self.process is not None and int(path.name) == self.process.pid
            if mark in text and int(path.name) != os.getpid() and not own:
                found[int(path.name)] = line.replace(b"\0", b" ").decode("utf-8", "replace")
        return found

    def files(self) -> set[str]:
        """Every path in the home, but for what may stay of an attempt or is no part of it: keys, journal, config, logs ..."""
        found = set()
        for directory, names, files in os.walk(self.home):
            below = os.path.relpath(directory, self.home)
            if below == ".":
                names[:] = [name for name in names if name not in ("config", "deploys", "keys", "stage")]
            if below == "node":
                names[:] = [name for name in names if name not in ("var", "lib")]
            names[:] = [name for name in names if not name.startswith(".spare-")]  # a refused deploy may use it up
            found.update(os.path.normpath(os.path.join(below, name)) for name in (*names, *files))
        return found

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What happens inside leaves nothing behind: no object, no ref, no directory, no socket, no process."""
        files, refs, processes = self.files(), self.refs(), self.processes()
        yield
        eventually("the processes are as before", lambda: same(processes, self.processes()), 15)
        assert self.files() == files, sorted(self.files() ^ files)
        assert self.refs() == refs

    def refs(self) -> str:
        """All refs of all repositories."""
        found = []
        for path in sorted(self.home.glob("repositories/*.git")):
            found.append(run(["git", "--git-dir", str(path), "show-ref"], self.env, self.top).text)
        return "\n".join(found)

    # What people do with it.

    def key(self, name: str, kind: str = "ed25519") -> Path:
        """A new key of alice's; returns the file of its public half."""
        path = self.user / name
        run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)], self.env, self.top).ok()
        return path.with_name(f"{name}.pub")

    def write_ssh_config(self) -> None:
        public = (self.home / "host_key" / "ssh_host_ed25519_key.pub").read_text()
        (self.user / "known_hosts").write_text(f"[127.0.0.1]:{self.ssh_port} {public}")
        (self.user / "ssh_config").write_text(
            f"IdentityFile {self.user}/key\nUserKnownHostsFile {self.user}/known_hosts\nGlobalKnownHostsFile /dev/null\n"
            "IdentitiesOnly yes\nIdentityAgent none\nStrictHostKeyChecking yes\nBatchMode yes\nConnectTimeout 20\n"
        )

    def ssh_argv(self, *args: str, options: Sequence[str] = ()) -> list[str]:
        return [
            "ssh", "-F", f"{self.user}/ssh_config", "-p", str(self.ssh_port), *options, "deploy@127.0.0.1", "--", *args
        ]  # fmt: skip

    def ssh(self, *args: str, options: Sequence[str] = (), stdin: bytes | None = None, limit: float = LIMIT) -> Done:
        """OpenSSH's client with a command."""
        return run(self.ssh_argv(*args, options=options), self.env, self.user, stdin, limit)

    def gitdeploy(self, *args: str, stdin: bytes | None = None) -> Done:
        """The command line on the server's own machine."""
        argv = [sys.executable, "-m", "gitdeploy", "--home", str(self.home), *args]
        return run(argv, self.env, self.top, stdin)

    def app(self, name: str) -> App:
        """A new repository with remotes for it."""
        return App(self, name, self.user / name)

    def get(self, host: str, path: str = "/", headers: Mapping[str, str] | None = None) -> Answer:
        """What the web says at a host name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()


class App:
    """A repository to push from, with the remotes deploy (production) and staging."""

    def __init__(self, server: Server, name: str, directory: Path) -> None:
        self.server, self.name, self.directory = server, name, directory
        directory.mkdir()
        self.git("init", "-q", "-b", "master")
        self.git("config", "core.hooksPath", os.devnull)
        address = f"ssh://deploy@127.0.0.1:{server.ssh_port}"
        self.git("remote", "add", "deploy", f"{address}/{name}")
        self.git("remote", "add", "staging", f"{address}/staging/{name}")

    def git(self, *args: str, stdin: bytes | None = None, **env: str) -> str:
        """A git command that works; returns what it printed."""
        return run(["git", *args], {**self.server.env, **env}, self.directory, stdin).ok().out.strip()

    def commit(self, message: str, files: Mapping[str, str | bytes] | None = None) -> str:
        """Write `files`, commit everything; returns the commit's id."""
        for name, content in (files or {}).items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *args: str, limit: float = LIMIT) -> Done:
        """``git push --progress deploy master``, or with other arguments."""
        argv = ["git", "push", "--progress", *(args or ("deploy", "master"))]
        return run(argv, self.server.env, self.directory, limit=limit)

    def pushing(self, *args: str) -> Running:
        """The same, under way."""
        argv = ["git", "push", "--progress", *(args or ("deploy", "master"))]
        return Running(argv, self.server.env, self.directory)

    def get(self, path: str = "/", environment: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        host = f"{self.name}.{environment}.localhost" if environment else f"{self.name}.localhost"
        return self.server.get(host, path, headers)

    def says(self) -> str:
        """What the live application answers."""
        answer = self.get()
        assert answer.status == 200, answer
        return answer.text

    def live(self, remote: str = "deploy", ref: str = "refs/heads/master") -> str:
        """The commit that the server says is deployed; empty if it says none."""
        return self.git("ls-remote", remote, ref).partition("\t")[0]

    def version(self, commit: str, key: str = "") -> Path:
        """The directory of a version on the node."""
        return self.server.home / "node" / "srv" / "apps" / (key or self.name) / "versions" / commit


def remove(top: Path) -> None:
    """Remove a directory with all versions in it, which nobody may write."""
    for directory, _, _ in os.walk(top):
        os.chmod(directory, 0o700)
    shutil.rmtree(top)
