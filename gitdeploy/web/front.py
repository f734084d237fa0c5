"""The embedded front: the web server of `gitdeploy server`, for the node that is this machine itself.

    endpoint.listen(Front(reactor, resolve))

Read on in visitor.py (a client's connection), proxy.py (a request on its way through an application), static.py (files),
fields.py (which header fields pass), pages.py (what the front says itself), target.py (what `resolve` gives).
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from twisted.internet import interfaces, protocol

from gitdeploy.web.limit import Limits
from gitdeploy.web.pages import Page, Pages
from gitdeploy.web.stage import Stage
from gitdeploy.web.target import Resolve, Target
from gitdeploy.web.visitor import Visitor

__all__ = ["Front", "Limits", "Page", "Resolve", "Target"]


class Front(protocol.ServerFactory):
    """An HTTP/1.1 server that asks `resolve`, once per request, what answers it.

    `https` says that clients come over TLS, here or at whatever stands before us; applications are told so.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        resolve: Resolve,
        *,
        https: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.reactor = reactor
        self.resolve = resolve
        self.https = https
        self.limits = limits or Limits()
        self.pages = Pages()
        self.visitors: set[Visitor] = set()
        self.closing = False
        self._date = (0, b"")

    def buildProtocol(self, addr: interfaces.IAddress | None) -> Visitor | None:
        """A visitor, or None (the connection is closed) when there are too many, or we are closing."""
        if self.closing or len(self.visitors) >= self.limits.connections:
            return None
        return Visitor(self)

    def close(self) -> None:
        """Close idle connections now and the others after their answer; stop listening before."""
        self.closing = True
        for visitor in [each for each in self.visitors if each.stage is Stage.IDLE]:
            visitor.close()

    def date(self) -> tuple[bytes, bytes]:
        """The Date field (RFC 9110 6.6.1) of answers of our own."""
        now = int(self.reactor.seconds())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return b"Date", self._date[1]
