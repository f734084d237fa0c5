"""What is measured: a push until it ends and until the new version answers, and requests that never stop while deploys go on."""

from __future__ import annotations

import http.client
import itertools
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from project import ENVIRON, Project

PAUSE = 0.01  # seconds between two questions whether the new version answers
LIMIT = 100.0  # seconds that a push, or an answer, may take
CLIENTS = 4
BETWEEN = 0.005  # seconds between two requests of one of the clients


class Address(NamedTuple):
    """Where an application answers: a port, a host name to ask for, and the IP address."""

    port: int
    name: str
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class Timed:
    """Seconds from the start of ``git push`` until it ended, and until the new version answered over HTTP (None: not asked)."""

    pushed: float
    answered: float | None


def ask(address: Address, timeout: float = 10) -> str | None:
    """What `address` answers to GET /; None if it does not answer well."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={"Host": address.name})
        answer = connection.getresponse()
        body = answer.read(100).decode("utf-8", "replace")
        return body if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def ssh(room: Path) -> str:
    """The ssh that git calls: the key in `room`, and nothing of the user's own."""
    options = ("IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR")
    known = f"UserKnownHostsFile={room / 'known_hosts'}"
    return " ".join(["ssh", "-F", "none", "-i", str(room / "key"), *(f"-o {one}" for one in (*options, known))])


def push(project: Project, room: Path, url: str, what: str, wait: tuple[Address, str] | None = None) -> Timed:
    """Time ``git push url what``; `wait` is where it must answer, and with which version. A push that fails ends it all."""
    argv = ["git", "-C", str(project.path), "push", "--force", url, what]
    began = time.perf_counter()
    process = subprocess.Popen(
        argv,
        env={**ENVIRON, "GIT_SSH_COMMAND": ssh(room)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    ended: list[float] = []
    said: list[str] = []

    def watch() -> None:
        said.append(process.communicate()[0])
        ended.append(time.perf_counter() - began)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    answered = None
    try:
        while wait is not None and answered is None:
            if ask(wait[0]) == wait[1]:
                answered = time.perf_counter() - began
            elif time.perf_counter() - began > LIMIT or (ended and process.returncode):
                break
            else:
                time.sleep(PAUSE)
        watching.join(LIMIT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its ssh, too
            process.wait(10)
    if process.returncode or (wait is not None and answered is None):
        raise SystemExit(f"a push failed: git push {url} {what}\n{''.join(said)}")
    return Timed(ended[0], answered)


def refused(project: Project, room: Path, url: str, what: str) -> float:
    """Seconds until a push that must fail has failed."""
    argv = ["git", "-C", str(project.path), "push", "--force", url, what]
    began = time.perf_counter()
    done = subprocess.run(
        argv, env={**ENVIRON, "GIT_SSH_COMMAND": ssh(room)}, capture_output=True, text=True, timeout=LIMIT
    )
    if done.returncode == 0:
        raise SystemExit(f"a push of something broken did not fail\n{done.stderr}")
    return time.perf_counter() - began


def wait_for(addresses: Sequence[Address], version: str) -> None:
    """Until every address answers with `version`."""
    until = time.monotonic() + LIMIT
    for address in addresses:
        while ask(address) != version:
            if time.monotonic() > until:
                raise SystemExit(f"{address} does not answer {version}")
            time.sleep(PAUSE)


def cpu() -> float:
    """Seconds of processor time that this whole machine has used, but for waiting (proc(5))."""
    user, nice, system, _, _, irq, soft = (int(word) for word in Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """What visitors saw: requests, how many of them failed, and the longest time in seconds in which nobody got an answer."""

    requests: int
    failed: int
    gap: float


class Visitors:
    """A process with clients that keep their connections and ask all the time, until `stop`."""

    def __init__(self, address: Address, between: float = BETWEEN) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        arguments = (address, theirs, between)
        self.process = multiprocessing.get_context("fork").Process(target=visit, args=arguments, daemon=True)
        self.process.start()

    def stop(self) -> Served:
        self.pipe.send("stop")
        if not self.pipe.poll(60):
            self.process.kill()
            raise SystemExit("the visitors do not come back")
        served: Served = self.pipe.recv()
        self.process.join(10)
        return served


def before_all_others() -> None:
    """Let this process have a core whenever it wants one, as visitors have who are on machines of their own (sched(7))."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def visit(address: Address, pipe: Connection, between: float) -> None:
    """The visitors' process. A request that meets a connection closed between two answers is asked again, as browsers do.

    Each client has times of its own at which it asks, evenly between those of the others: together they would be silent in between.
    """
    before_all_others()
    began = time.perf_counter()
    stop = threading.Event()
    good: list[list[float]] = [[] for _ in range(CLIENTS)]
    bad = [0] * CLIENTS

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
        fresh = True
        due = began + number * between / CLIENTS
        while not stop.wait(max(0.0, due - time.perf_counter())):
            try:
                connection.request("GET", "/", headers={"Host": address.name})
                answer = connection.getresponse()
                well = answer.status == 200 and answer.read().startswith(b"v")
                fresh = False
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                connection.close()
                if not fresh:
                    fresh = True
                    continue
                well = False
            except (OSError, http.client.HTTPException):
                connection.close()
                well, fresh = False, True
            if well:
                good[number].append(time.perf_counter())
            else:
                bad[number] += 1
                connection.close()
            due = max(due + between, time.perf_counter())
        connection.close()

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    pipe.recv()
    stop.set()
    for thread in threads:
        thread.join(40)
    times = sorted(moment for one in good for moment in one)
    gap = max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)
    pipe.send(Served(len(times) + sum(bad), sum(bad), gap))
