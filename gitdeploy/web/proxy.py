"""One request on its way through an application: the connection to the application's socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import h11
from twisted.internet import error, interfaces, protocol, tcp
from twisted.python.failure import Failure
from zope.interface import implementer

from gitdeploy.web import fields, pages
from gitdeploy.web.fields import Ask
from gitdeploy.web.guard import guarded
from gitdeploy.web.limit import Limit
from gitdeploy.web.pages import Page

if TYPE_CHECKING:
    from gitdeploy.web.visitor import Visitor


class Wire(tcp.Connection):
    """A connected socket; when the connection ends, what the other side wrote before is read all the same.

    An application may answer and close before it read the whole request (a 413). Twisted drops a connection, with what
    is still to be read, as soon as a write fails, or on a hang-up while it was not reading; here the rest is handed on
    first. It is what the kernel holds, below `_MOST` (net.core.wmem_default is 208 KiB).
    """

    logstr = "application"
    _MOST = 1 << 20

    def connectionLost(self, reason: Failure) -> None:
        left = 0 if reason.type is error.ConnectionAborted or not hasattr(self, "socket") else self._MOST
        while left > 0:
            try:
                data = self.socket.recv(self.bufferSize)
            except OSError:
                break
            if not data:
                break
            left -= len(data)
            self.protocol.dataReceived(data)
        super().connectionLost(reason)


def connect(reactor: Any, path: str, to: protocol.Protocol) -> None:
    """Connect `to` with the unix socket at `path`; this never waits. OSError: BlockingIOError when its queue is full."""
    plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        plain.connect(path)
    except OSError:
        plain.close()
        raise
    wire: Any = Wire(plain, to, reactor)
    wire.connected = 1
    wire.startReading()
    to.makeConnection(wire)


@implementer(interfaces.IPushProducer)
class Passage(protocol.Protocol):
    """Carries a request to the application and its answer back, at the pace of the slower side, both ways at once.

    What it hears goes to the visitor as `respond`, `send`, `inform`, `switch`, and ends with exactly one of `finish`,
    `fail` and `cut`. The application gets a connection of its own for each request and is asked to close it.
    As a producer it is the request's body, seen from the application.
    """

    transport: Any  # a Wire

    def __init__(self, visitor: Visitor, app: str) -> None:
        self._visitor = visitor
        self._app = app
        self._limits = visitor.front.limits
        self._limit = Limit(visitor.front.reactor, self._late)
        self._http = h11.Connection(h11.CLIENT, self._limits.head)
        self._body_open = True  # more of the request's body may come
        self._app_full = False  # the application does not take it
        self._client_full = False  # the client does not take the answer
        self._tunnel = False
        self._over = False

    # -- from the visitor --

    def begin(self, path: str, request: h11.Request, ask: Ask) -> Page | None:
        """Connect to the socket at `path` and send the head; or the page that says why this cannot be."""
        front = self._visitor.front
        client = getattr(self._visitor.transport.getPeer(), "host", "unix:").removeprefix("::ffff:").encode()
        head = fields.to_application(request, ask, client, front.https, front.reactor.seconds())
        try:
            connect(front.reactor, path, self)
        except BlockingIOError:
            return pages.overloaded(self._app)
        except OSError:
            return pages.down(self._app)
        self.transport.registerProducer(self, True)
        self.transport.write(self._http.send(h11.Request(method=ask.method, target=ask.target, headers=head)))
        self._limit.start(self._limits.response)
        return None

    def body(self, data: bytes) -> None:
        self._limit.touch()
        self.transport.write(self._http.send(h11.Data(data=data)))

    def body_end(self) -> None:
        self._body_open = False
        self._limit.touch()
        self.transport.write(self._http.send(h11.EndOfMessage()))

    def tunnel(self, data: bytes) -> None:
        """Bytes of the protocol that was switched to."""
        self._limit.touch()
        self.transport.write(data)

    def pause(self) -> None:
        self._client_full = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        self._client_full = False
        self._limit.touch()
        self.transport.resumeProducing()

    def stop(self) -> None:
        """The client is gone, or has its answer: so is this connection. A tunnel delivers what it has, then closes."""
        if self._over:
            return
        self._over = True
        self._limit.stop()
        self.transport.unregisterProducer()
        if self._tunnel:
            self._limit = Limit(self._visitor.front.reactor, self.transport.abortConnection)
            self._limit.start(self._limits.linger)
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    # -- from the application --

    @guarded
    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        self._limit.touch()
        if self._tunnel:
            self._visitor.write(data)
        else:
            self._http.receive_data(data)
            self._read()

    @guarded
    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self._limit.stop()
        if self._over:
            return
        if self._tunnel:
            self._end(self._visitor.close)
        elif reason.type is error.ConnectionDone:
            self._http.receive_data(b"")
            self._read()
        if not self._over:
            self._end(partial(self._visitor.fail, pages.died(self._app)))

    def _read(self) -> None:
        while not self._over and not self._tunnel:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as problem:
                open_still = self.transport.connected
                page = pages.nonsense(self._app, str(problem)) if open_still else pages.died(self._app)
                return self._end(partial(self._visitor.fail, page))
            if isinstance(event, h11.Data):
                self._visitor.send(event.data)
            elif isinstance(event, h11.Response):
                self._visitor.respond(event.status_code, event.reason, fields.to_client(event))
            elif isinstance(event, h11.EndOfMessage):
                self._end(self._visitor.finish)
            elif isinstance(event, h11.InformationalResponse):
                self._inform(event)
            else:
                return None
        return None

    def _inform(self, event: h11.InformationalResponse) -> None:
        message = h11.InformationalResponse(
            status_code=event.status_code, reason=event.reason, headers=fields.to_client(event)
        )
        if event.status_code != 101:
            self._visitor.inform(message)
            return
        self._tunnel = True
        self._limit.start(self._limits.tunnel)
        early = self._http.trailing_data[0]
        self._visitor.switch(message)
        if early:
            self._visitor.write(early)

    def broken(self) -> None:
        """A defect of ours."""
        self._end(self._visitor.broken)

    def _end(self, how: Callable[[], None]) -> None:
        self.stop()
        how()

    @guarded
    def _late(self) -> None:
        waits_for_client = self._client_full or (self._body_open and not self._app_full)
        if self._tunnel:
            self._end(self._visitor.close)
        elif waits_for_client:
            self._limit.start(self._limits.response)  # the visitor has a limit for this
        else:
            self._end(partial(self._visitor.fail, pages.slow(self._app, self._limits.response)))

    # -- from the transport: how fast the application takes the request's body --

    def pauseProducing(self) -> None:
        self._app_full = True
        self._visitor.hold(True)

    def resumeProducing(self) -> None:
        self._app_full = False
        self._limit.touch()
        if not self._over:
            self._visitor.hold(False)

    def stopProducing(self) -> None:
        """The connection is lost: `connectionLost` says so too."""
