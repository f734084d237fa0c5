"""Processes: results, limits, cancellation. Real ones, on the real reactor."""

import os
import subprocess
import time

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from gitdeploy.errors import CommandFailed
from gitdeploy.runner import BASE_ENVIRON, BOUND, Command, Runner


def sh(script):
    return Command(("sh", "-c", script), BASE_ENVIRON)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class RunnerTest(TestCase):
    timeout = 30

    def setUp(self):
        self.runner = Runner(reactor)

    async def fails(self, command):
        try:
            await self.runner.run(command, timeout=10)
        except CommandFailed as error:
            return error
        raise AssertionError("it did not fail")

    async def test_output_is_returned_and_input_is_given(self):
        self.assertEqual(await self.runner.run(sh("tr a-z A-Z"), stdin=b"hello", timeout=10), b"HELLO")

    async def test_nothing_is_inherited(self):
        self.patch(os, "environ", {**os.environ, "SECRET": "x"})
        out = await self.runner.run(sh("env"), timeout=10)
        self.assertNotIn(b"SECRET", out)
        self.assertIn(b"LC_ALL=C.UTF-8", out)

    async def test_a_failure_carries_the_last_words(self):
        error = await self.fails(sh("seq 100 >&2; exit 3"))
        self.assertIn("exit code 3", str(error))
        self.assertEqual(error.details[0], "sh -c 'seq 100 >&2; exit 3'")
        self.assertEqual(error.details[-1], "100")
        self.assertLess(len(error.details), 40)

    async def test_a_signal_is_told_as_shells_tell_it(self):
        self.assertIn("exit code 137", str(await self.fails(sh("kill -9 $$"))))

    async def test_what_takes_too_long_is_ended_with_all_it_started(self):
        pids = []
        try:
            await self.runner.run(
                sh("sleep 100 & echo $!; wait"), timeout=0.5, on_output=lambda data: pids.append(int(data))
            )
            self.fail("it was not ended")
        except CommandFailed as error:
            self.assertIn("took longer than 0.5 s", str(error))
        while alive(pids[0]):  # trial's own limit ends this
            await deferLater(reactor, 0.01)

    async def test_who_is_cancelled_waits_until_the_process_is_gone(self):
        pids = []
        script = "trap 'sleep 0.3; exit 0' TERM; echo $$; while :; do sleep 0.05; done"
        running = Deferred.fromCoroutine(
            self.runner.run(sh(script), timeout=20, on_output=lambda data: pids.append(int(data)))
        )
        while not pids:
            await deferLater(reactor, 0.01)
        began = time.monotonic()
        running.cancel()
        try:
            await running
            self.fail("it was not cancelled")
        except CancelledError:
            pass
        self.assertFalse(alive(pids[0]))
        self.assertGreater(time.monotonic() - began, 0.2)

    async def test_a_parent_that_is_gone_already_starts_nothing(self):
        """The server was killed between the start of a process and its prctl(2): it would have been left for ever."""
        self.patch(os, "getpid", lambda: 1 << 22)  # no parent of what we start has this number
        error = await self.fails(sh("echo started"))
        self.assertIn("exit code 1", str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have what is to be given up")
def test_what_the_server_may_beyond_its_user_its_processes_may_not():
    privileges = ("--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")
    service = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *privileges, "--")
    status = ("grep", "^CapEff", "/proc/self/status")
    with_it = subprocess.run((*service, *status), capture_output=True, text=True, check=True, timeout=30).stdout
    bound = (*service, *BOUND, str(os.getpid()), *status)
    without = subprocess.run(bound, capture_output=True, text=True, check=True, timeout=30).stdout
    assert int(with_it.split()[1], 16) != 0
    assert int(without.split()[1], 16) == 0
