"""One request to an application through the web server of its node, as the check before a switch makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from ..errors import Refused
from .node import Checked

MOST = 20_000  # bytes of the body that are looked at


@implementer(IAgentEndpointFactory)
class ToSocket:
    """All requests go to one unix socket."""

    def __init__(self, reactor: Any, path: str) -> None:
        self.reactor, self.path = reactor, path

    def endpointForURI(self, uri: Any) -> UNIXClientEndpoint:
        return UNIXClientEndpoint(self.reactor, self.path)


class Beginning(protocol.Protocol):
    """Collects the beginning of a body; `done` fires when it has enough or the body has ended."""

    def __init__(self) -> None:
        self.data = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > MOST and self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.done.callback(self.data[:MOST])


async def probe(reactor: Any, socket: str, host: str, path: str, headers: Mapping[str, str], timeout: float) -> Checked:
    """GET `path` of `host` over the unix socket `socket`; at most `timeout` seconds in all. Raises Refused without an answer."""

    async def ask() -> Checked:
        began = reactor.seconds()
        agent = Agent.usingEndpointFactory(reactor, ToSocket(reactor, socket))
        fields = Headers({name: [value] for name, value in {"Accept": "text/plain, */*", **headers}.items()})
        response = await agent.request(b"GET", b"http://" + host.encode() + path.encode(), fields)
        body = Beginning()
        response.deliverBody(body)
        text = (await body.done).decode("utf-8", "replace")
        return Checked(response.code, reactor.seconds() - began, text)

    try:
        return await Deferred.fromCoroutine(ask()).addTimeout(timeout, reactor)
    except TimeoutError:
        raise Refused(f"{path} did not answer within {timeout:g} s") from None
    except CancelledError:
        raise
    except ResponseFailed as error:
        raise Refused(f"{path} was not answered: {error.reasons[0].getErrorMessage()}") from error
