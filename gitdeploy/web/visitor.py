"""One client's connection: its requests, one after the other, each answered by a page, a file or an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import h11
from twisted.internet import interfaces, protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gitdeploy.web import fields, pages, static
from gitdeploy.web.fields import Ask, Fields
from gitdeploy.web.guard import guarded
from gitdeploy.web.limit import Limit
from gitdeploy.web.pages import Page
from gitdeploy.web.proxy import Passage
from gitdeploy.web.source import Source
from gitdeploy.web.stage import Stage
from gitdeploy.web.target import Target

if TYPE_CHECKING:
    from gitdeploy.web.front import Front


_MORE_MAY_COME = (h11.IDLE, h11.SEND_BODY, h11.ERROR)  # states of a client whose request has not all come


@implementer(interfaces.IPushProducer)
class Visitor(protocol.Protocol):
    """A client. As a producer it is the answers, seen from the client's transport."""

    transport: Any  # ITCPTransport or a TLS one; both are producers and consumers, and neither interface says so

    def __init__(self, front: Front) -> None:
        self.front = front
        self.stage = Stage.IDLE
        self._http = h11.Connection(h11.SERVER, front.limits.head)
        self._limit = Limit(front.reactor, self._late)
        self._source: Source | None = None
        self._ended: Callable[[], None] | None = None  # of the target that answers
        self._asked: h11.Request | None = None
        self._complete = True  # the whole request has come
        self._begun = False  # a part of the answer is on its way
        self._full = False  # the client does not take what we write
        self._held = False  # the application does not take what the client sends
        self._reading = True
        self._ahead = 0  # bytes that came after the request being answered, or of the next one's head
        self._advancing = False

    # -- from the client's transport --

    def connectionMade(self) -> None:
        self.front.visitors.add(self)
        if interfaces.ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._limit.start(self.front.limits.header)

    @guarded
    def dataReceived(self, data: bytes) -> None:
        if self.stage is Stage.CLOSING:
            return
        if self.stage is Stage.TUNNEL and self._source is not None:
            self._source.tunnel(data)
            return
        if self.stage is Stage.IDLE:
            if not (data := data.lstrip(b"\r\n")):  # RFC 9112 2.2
                return
            self.stage = Stage.HEAD
            self._limit.start(self.front.limits.header)
        if self.stage is Stage.ANSWERING:
            self._limit.touch()
        if self._complete:
            self._ahead += len(data)
        self._http.receive_data(data)
        self._advance()
        self._gate()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.stage = Stage.CLOSING
        self._limit.stop()
        self.front.visitors.discard(self)
        self._leave()

    def pauseProducing(self) -> None:
        self._full = True
        if self._source is not None:
            self._source.pause()

    @guarded
    def resumeProducing(self) -> None:
        self._full = False
        self._limit.touch()
        if self._source is not None:
            self._source.resume()
        elif self.stage is Stage.HEAD:
            self._advance()

    def stopProducing(self) -> None:
        """The connection is lost: `connectionLost` says so too."""

    # -- the requests --

    def _advance(self) -> None:
        """Take what has come, request by request; the next one only when the client takes the answers before."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self.stage is Stage.ANSWERING or (self.stage is Stage.HEAD and not self._full):
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._request(event)
                elif isinstance(event, h11.Data):
                    if self._source is not None:
                        self._source.body(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    self._body_ended()
                    if self._source is not None:
                        self._source.body_end()
                else:
                    break
        except h11.RemoteProtocolError as problem:
            self.fail(pages.bad_request(problem.error_status_hint, str(problem)))
        finally:
            self._advancing = False

    def _request(self, request: h11.Request) -> None:
        self.stage = Stage.ANSWERING
        self._complete, self._begun, self._ahead = False, False, 0
        self._limit.start(self.front.limits.client)
        self._asked = request
        ask = fields.understand(request)
        if isinstance(ask, Page):
            return self.fail(ask)
        if not ask.has_body:
            self._http.next_event()  # its end, which h11 knows already
            self._body_ended()
        found = self.front.resolve(ask)
        if isinstance(found, Page):
            return self.fail(found)
        ask = ask.below(found.prefix)
        return self._serve(found.at(ask.target), request, ask)

    def _body_ended(self) -> None:
        self._complete = True
        self._ahead = len(self._http.trailing_data[0])

    def _serve(self, target: Target, request: h11.Request, ask: Ask) -> None:
        target.began()
        self._ended = target.ended
        readable = ask.method in (b"GET", b"HEAD")
        answer = static.first(target, ask) if readable else None
        if isinstance(answer, Page):
            return self.fail(answer)
        if answer is not None:
            return self._file(answer)
        if target.socket is None:
            return self.fail((pages.no_such_file if readable else pages.files_only)(target.app))
        return self._pass_on(target, target.socket, request, ask)

    def _file(self, answer: static.Answer) -> None:
        self.respond(answer.status, b"", [*answer.fields, self.front.date()])
        if answer.file is None:
            return self.finish()
        self._source = static.Reading(self, answer.file, answer.length)
        return self._source.resume()

    def _pass_on(self, target: Target, path: str, request: h11.Request, ask: Ask) -> None:
        passage = Passage(self, target.app)
        if trouble := passage.begin(path, request, ask):
            return self.fail(trouble)
        self._source = passage
        return passage.body_end() if self._complete else None

    # -- the answer, from its source --

    def respond(self, status: int, reason: bytes, head: Fields) -> None:
        """The head of the answer. When the request has not all come yet, the connection closes after it."""
        self._begun = True
        if self._http.their_state in _MORE_MAY_COME or self.front.closing:
            head = [*head, (b"Connection", b"close")]
        self.transport.write(self._http.send(h11.Response(status_code=status, reason=reason, headers=head)))

    def send(self, data: bytes) -> None:
        """A part of the answer's body."""
        self.transport.write(self._http.send(h11.Data(data=data)))

    def inform(self, message: h11.InformationalResponse) -> None:
        """A word before the answer: 100 Continue, 103 Early Hints."""
        if self._http.their_http_version != b"1.0":
            self.transport.write(self._http.send(message))

    def switch(self, message: h11.InformationalResponse) -> None:
        """The application took the upgrade: from now on bytes go both ways as they are."""
        self.transport.write(self._http.send(message))
        self.stage = Stage.TUNNEL
        self._ahead = 0
        self._limit.stop()
        if self._source is not None and (early := self._http.trailing_data[0]):
            self._source.tunnel(early)
        self._gate()

    def write(self, data: bytes) -> None:
        """Bytes of the protocol that was switched to."""
        self.transport.write(data)

    def finish(self) -> None:
        """The answer is complete."""
        self.transport.write(self._http.send(h11.EndOfMessage()))
        self._leave()
        self._asked = None
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return self.close(linger=self._http.their_state in _MORE_MAY_COME)
        self._http.start_next_cycle()
        self.stage = Stage.HEAD if self._ahead else Stage.IDLE
        self._limit.start(self.front.limits.header if self._ahead else self.front.limits.idle)
        self._gate()
        return self._advance()

    def fail(self, page: Page) -> None:
        """Answer with `page`; where an answer has begun already, cut it off, so that nobody takes it for complete."""
        self._leave()
        if self.stage is Stage.CLOSING:
            return None
        if self._begun or self.stage is Stage.TUNNEL:
            return self.cut()
        asked = self._asked.headers if self._asked is not None else ()
        accept = b",".join(value for name, value in asked if name == b"accept")
        head, body = self.front.pages.render(page, accept)
        self.respond(page.status, b"", [*head, self.front.date()])
        if self._asked is None or self._asked.method != b"HEAD":
            self.send(body)
        return self.finish()

    def cut(self) -> None:
        """Reset the connection."""
        self._leave()
        self.stage = Stage.CLOSING
        self.transport.abortConnection()

    def broken(self) -> None:
        """A defect of ours, logged already."""
        try:
            self.fail(pages.broken())
        except Exception:  # not even that: what failed once more says nothing new
            self.cut()

    def close(self, *, linger: bool = False) -> None:
        """Close when the client has what was written.

        With `linger`, what still comes is thrown away until the client closes too: a reset would destroy the answer on
        its way (RFC 9112 9.6).
        """
        self._leave()
        self.stage = Stage.CLOSING
        self.transport.unregisterProducer()
        self._limit.start(self.front.limits.linger if linger else self.front.limits.client)
        if linger and not interfaces.INegotiated.providedBy(self.transport):
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def hold(self, held: bool) -> None:
        """Whether the application has enough of the request's body for now."""
        self._held = held
        self._limit.touch()
        self._gate()

    def _gate(self) -> None:
        reading = not self._held and self._ahead <= self.front.limits.head
        if reading != self._reading and self.stage is not Stage.CLOSING:
            self._reading = reading
            (self.transport.resumeProducing if reading else self.transport.pauseProducing)()

    def _leave(self) -> None:
        """The request is over: exactly one `ended` for each `began`."""
        source, self._source = self._source, None
        ended, self._ended = self._ended, None
        self._held = False
        if source is not None:
            source.stop()
        if ended is not None:
            ended()

    @guarded
    def _late(self) -> None:
        waits_for_client = self._full or not (self._complete or self._held)
        if self.stage is Stage.CLOSING:
            self.transport.abortConnection()
        elif self.stage is Stage.IDLE:
            self.close()
        elif self.stage is Stage.ANSWERING and not waits_for_client:
            self._limit.start(self.front.limits.client)  # the application has a limit of its own
        else:
            seconds = self.front.limits.header if self.stage is Stage.HEAD else self.front.limits.client
            self.fail(pages.too_slow_client(seconds))
