"""Processes of a release: booted, restarted, drained, ended. A real gunicorn under the real reactor."""

import importlib.util
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from buildless.limits import WebLimits
from gitdeploy.errors import Refused
from gitdeploy.nodes.supervisor import Instance, Program
from gitdeploy.runner import Runner

GOOD = """
import os, time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/end":
        os.kill(os.getppid(), 9)
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.7)
    start_response("200 OK", [])
    return [b"pid %d" % os.getppid()]
"""


class Ask(Protocol):
    def __init__(self, path):
        self.path, self.data, self.done = path, b"", Deferred()

    def connectionMade(self):
        self.transport.write(f"GET {self.path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())

    def dataReceived(self, data):
        self.data += data

    def connectionLost(self, reason):
        self.done.callback(self.data)


class InstanceTest(TestCase):
    timeout = 60

    def setUp(self):
        self.top = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.top)
        self.lines = []

    def instance(self, code):
        """An instance of an app whose module is `code`."""
        (self.top / "tree").mkdir()
        (self.top / "tree" / "app.yaml").write_text("platform: python, wsgi\napp: one:application\n")
        (self.top / "tree" / "one.py").write_text(code)
        limits = asdict(WebLimits(processes=2, threads=2))
        environ = {"PATH": os.defpath, "TMPDIR": str(self.top)}
        names = {"app": "one", "environment": "production", "release": "v1", "version": "a" * 40}
        (self.top / "settings").write_text(json.dumps({**names, "environ": environ, "web": limits}))
        library = self.top / "lib"
        library.mkdir()
        for name in ("buildless", "gunicorn", "packaging", "yaml"):
            (library / name).symlink_to(Path(importlib.util.find_spec(name).submodule_search_locations[0]).resolve())
        program = Program(sys.executable, {"PYTHONPATH": str(library), "PATH": os.defpath}, str(self.top), 2)
        self.path = self.top / "s"
        made = Instance(reactor, Runner(reactor), program, self.path, self.lines.append)
        self.addCleanup(lambda: Deferred.fromCoroutine(made.stop(grace=0)))
        return made

    async def ask(self, path="/"):
        request = Ask(path)
        await UNIXClientEndpoint(reactor, str(self.path)).connect(Factory.forProtocol(lambda: request))
        return await request.done

    async def until(self, condition):
        while not condition():
            await deferLater(reactor, 0.02)

    async def test_booted_means_that_every_worker_answers(self):
        instance = self.instance(GOOD)
        await instance.boot(30)
        self.assertEqual((instance.state, len(instance.ready)), ("running", 2))
        self.assertIn(f"pid {instance.pid}".encode(), await self.ask())

    async def test_an_application_that_does_not_load_is_refused_with_its_last_words(self):
        instance = self.instance("import no_such_module\n")
        try:
            await instance.boot(30)
            self.fail("it booted")
        except Refused as error:
            self.assertIn("No module named 'no_such_module'", str(error))
            self.assertTrue(any("Traceback" in line for line in error.details))
        self.assertIsNone(instance.pid)

    async def test_an_application_that_takes_too_long_is_refused(self):
        instance = self.instance("import time; time.sleep(60)\n")
        try:
            await instance.boot(1.0)
            self.fail("it booted")
        except Refused as error:
            self.assertIn("did not start within 1 s", str(error))

    async def test_a_process_that_is_killed_is_started_again_and_no_request_is_refused(self):
        instance = self.instance(GOOD)
        await instance.boot(30)
        first = instance.pid
        await self.ask("/end")
        await self.until(lambda: instance.state == "restarting")
        answer = await self.ask()  # waits in the socket's queue until there is somebody again
        self.assertIn(b"200 OK", answer)
        self.assertNotIn(f"pid {first}".encode(), answer)
        self.assertEqual(instance.restarts, 1)

    async def test_one_that_keeps_ending_is_down_and_comes_back(self):
        instance = self.instance(GOOD)
        await instance.boot(30)
        module = self.top / "tree" / "one.py"
        module.write_text("raise SystemExit('gone')\n")
        await self.ask("/end")
        await self.until(lambda: instance.state == "down" and instance.restarts >= 2)
        module.write_text(GOOD + "# mended\n")
        await self.until(lambda: instance.state == "running")

    async def test_retiring_waits_for_what_it_is_answering(self):
        instance = self.instance(GOOD)
        await instance.boot(30)
        instance.began()
        slow = Deferred.fromCoroutine(self.ask("/slow"))
        slow.addBoth(lambda answer: instance.ended() or answer)
        retired = Deferred.fromCoroutine(instance.retire())
        self.assertEqual(instance.state, "draining")
        self.assertIn(b"200 OK", await slow)
        await retired
        self.assertEqual(instance.state, "stopped")
        self.assertFalse(self.path.exists())
        await instance.stop()
