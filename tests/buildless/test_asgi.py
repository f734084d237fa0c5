"""The limits of an ASGI application, around a coroutine and without a server."""

from __future__ import annotations

import asyncio
import time

import pytest

from buildless.asgi import AsyncFailsafe
from buildless.limits import WebLimits
from buildless.sleep import Sleep


class Ask:
    """One request, or web socket, of an application behind the limits."""

    def __init__(self, app, scope=None, boot=0.0, sleep=None, headers=()):
        self.sent = []
        self.failsafe = AsyncFailsafe(WebLimits(request=0.2, boot=boot), sleep)
        self.scope = scope or {"type": "http", "method": "GET", "path": "/x", "headers": list(headers)}
        self.app = self.failsafe.wrap(app)

    async def send(self, message):
        self.sent.append(message)

    async def receive(self):
        return {"type": "http.request"}

    def run(self):
        asyncio.run(asyncio.wait_for(self.app(self.scope, self.receive, self.send), 30))
        return [message.get("status") for message in self.sent if message["type"] == "http.response.start"]


async def start(send, status=200):
    await send({"type": "http.response.start", "status": status, "headers": []})


def test_an_answer_is_passed_on():
    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        await start(send, 204)

    assert Ask(app).run() == [204]


def test_one_that_takes_too_long_is_cancelled_and_said(capfd):
    cancelled = []

    async def app(scope, receive, send):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert Ask(app).run() == [503]
    said = capfd.readouterr().err
    assert cancelled == [True] and "GET '/x' took longer than 0.2 s and is cancelled" in said and "in app" in said


def test_one_that_has_begun_may_take_its_time():
    async def app(scope, receive, send):
        await start(send)
        await asyncio.sleep(0.5)
        await send({"type": "http.response.body", "body": b"late"})

    asked = Ask(app)
    assert asked.run() == [200] and asked.sent[-1]["body"] == b"late"


def test_the_first_requests_of_a_process_may_take_longer():
    async def app(scope, receive, send):
        await asyncio.sleep(0.5)
        await start(send)

    assert Ask(app, boot=30.0).run() == [200]


def test_one_that_has_waited_too_long_is_not_asked():
    async def app(scope, receive, send):
        raise AssertionError("asked")

    assert Ask(app, headers=[(b"x-request-start", f"t={time.time() - 60:.3f}".encode())]).run() == [503]


def test_what_the_application_raises_is_the_servers():
    async def app(scope, receive, send):
        raise KeyError("x")

    with pytest.raises(KeyError):
        Ask(app).run()


def test_web_sockets_end_with_the_release_that_was_live(tmp_path):
    for name in ("v1", "v2"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "web.sock").symlink_to(f"/run/{name}.sock")
    live = tmp_path / "live"
    live.symlink_to("releases/v1")
    sleep = Sleep(tmp_path / "releases" / "v1", 0.0)
    seen = []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        seen.append(asked.failsafe.is_over(sleep))
        live.unlink()
        live.symlink_to("releases/v2")
        seen.append(asked.failsafe.is_over(sleep))
        asked.failsafe.close_sockets()
        await asyncio.sleep(0.1)

    asked = Ask(app, {"type": "websocket"}, sleep=sleep)
    asked.run()
    assert seen == [False, True] and asked.sent[-1] == {"type": "websocket.close", "code": 1012}
    assert asked.failsafe.sockets == {}
