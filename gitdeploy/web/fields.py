"""What a proxy passes on and what it sets itself: pure functions from message heads to message heads (RFC 9110, 9112)."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote_to_bytes

import h11

from gitdeploy.web import pages
from gitdeploy.web.pages import Page

Fields = list[tuple[bytes, bytes]]

# RFC 9110 7.6.1, and Trailer, because trailers are not passed on
_HOP_BY_HOP = frozenset(
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"]
)
# What a client must not make us drop by naming it in Connection
_ESSENTIAL = frozenset([b"host", b"content-length", b"content-type", b"expect"])
# What only the front may say. Proxy would be taken for the setting HTTP_PROXY by CGI programs (httpoxy)
_OURS = frozenset([b"host", b"x-real-ip", b"x-request-start", b"forwarded", b"proxy"])
_AUTHORITY = re.compile(rb"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::(?P<port>[0-9]{0,5}))?")
_ABSOLUTE = re.compile(rb"https?://(?P<authority>[^/?#@]+)(?P<path>/[^#]*)?(?P<query>\?[^#]*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Ask:
    """A request's head, understood.

    `target` is in origin-form (or ``*``); `authority` is the Host as the client sent it, `host` and `port` its parts;
    `fields` has lower-cased names; `upgrade` is the protocol asked for, or b"". `prefix` is what was taken off the target.
    """

    method: bytes
    target: bytes
    authority: bytes
    host: str
    port: bytes
    fields: dict[bytes, bytes]
    upgrade: bytes
    has_body: bool
    old: bool  # HTTP/1.0
    prefix: str = ""

    def below(self, prefix: str) -> Ask:
        """The same, asked of an application that answers below a path: its target is what comes after that."""
        if not prefix:
            return self
        raw, question, query = self.target.partition(b"?")
        path = path_of(raw)
        plain = unquote_to_bytes(raw).decode("latin-1") == path and raw.startswith(prefix.encode())
        rest = raw[len(prefix) :] if plain else quote(path[len(prefix) :].encode("latin-1")).encode()
        return replace(self, target=(rest or b"/") + question + query, prefix=prefix)


def path_of(target: bytes) -> str:
    """The path that a request's target means, without ``.``, ``..`` and ``//`` (in latin-1, as for WSGI).

    >>> path_of(b"/a/../bl%6Fg//x?y"), path_of(b"/blog/"), path_of(b"//")
    ('/blog/x', '/blog/', '/')
    """
    path = unquote_to_bytes(target.partition(b"?")[0]).decode("latin-1")
    found = "/" + posixpath.normpath(path).lstrip("/")
    return f"{found}/" if path.endswith("/") and found != "/" else found


def understand(request: h11.Request) -> Ask | Page:
    """What `request` asks for, or the page that says what is wrong with it."""
    fields = _join(request)
    old = request.http_version == b"1.0"
    framing = b"transfer-encoding" in fields
    authority = fields.get(b"host")
    target = request.target
    if not request.http_version.startswith(b"1."):
        return pages.bad_request(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if framing and (old or b"content-length" in fields):  # RFC 9112 6.1 and 6.3: two readings, so somebody smuggles
        return pages.bad_request(400, "Transfer-Encoding contradicts Content-Length or the HTTP version")
    if request.method == b"CONNECT":
        return pages.bad_request(501, "this server does not forward to others (CONNECT)")
    if authority is None and not old:
        return pages.bad_request(400, "it names no Host")
    if not target.startswith(b"/") and not (target == b"*" and request.method == b"OPTIONS"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            return pages.bad_request(400, "its target is neither a path nor an http address")
        authority = absolute["authority"]  # RFC 9112 3.2.2: it counts, and Host does not
        target = (absolute["path"] or b"/") + (absolute["query"] or b"")
    match = _AUTHORITY.fullmatch(authority or b"")
    if match is None:
        return pages.bad_request(400, "its Host is not a host name")
    return Ask(
        method=request.method,
        target=target,
        authority=authority or b"",
        host=match["host"].decode("ascii").lower().rstrip("."),
        port=match["port"] or b"",
        fields=fields,
        upgrade=b"" if old else _upgrade(fields),
        has_body=framing or fields.get(b"content-length", b"0").strip(b"0") != b"",
        old=old,
    )


def to_application(request: h11.Request, ask: Ask, client: bytes, https: bool, now: float) -> Fields:
    """The header fields for the application; `client` is the address of the client, `now` seconds since 1970.

    Names with an underscore are left out, as nginx does: to WSGI they look the same as ours with a dash.
    """
    dropped = _dropped(ask.fields) | _OURS
    out: Fields = [(b"Host", ask.authority)]
    for name, value in request.headers.raw_items():
        low = name.lower()
        if low in dropped or low.startswith(b"x-forwarded-") or b"_" in low or (ask.old and low == b"expect"):
            continue
        out.append((name, value))
    if b"transfer-encoding" in ask.fields:
        out.append((b"Transfer-Encoding", b"chunked"))
    if ask.upgrade:
        out += [(b"Connection", b"upgrade"), (b"Upgrade", ask.upgrade)]
    else:
        out.append((b"Connection", b"close"))
    out += [
        (b"X-Forwarded-For", client),
        (b"X-Forwarded-Proto", b"https" if https else b"http"),
        (b"X-Forwarded-Host", ask.authority),
        (b"X-Forwarded-Port", ask.port or (b"443" if https else b"80")),
        (b"X-Real-IP", client),
        (b"X-Request-Start", b"t=%.3f" % now),
    ]
    if ask.prefix:
        out.append((b"X-Forwarded-Prefix", ask.prefix.encode()))
    return out


def to_client(response: h11.Response | h11.InformationalResponse) -> Fields:
    """The header fields of an application's answer for the client; the framing is made anew where it was chunked."""
    fields = _join(response)
    dropped = _dropped(fields)
    if b"transfer-encoding" in fields:
        dropped = dropped | {b"content-length"}
    out = [(name, value) for name, value in response.headers.raw_items() if name.lower() not in dropped]
    if response.status_code == 101:
        out += [(b"Connection", b"upgrade"), (b"Upgrade", fields.get(b"upgrade", b""))]
    return out


def _join(message: h11.Request | h11.Response | h11.InformationalResponse) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in message.headers:
        if name in joined:
            value = joined[name] + (b"; " if name == b"cookie" else b", ") + value
        joined[name] = value
    return joined


def _dropped(fields: dict[bytes, bytes]) -> frozenset[bytes]:
    connection = fields.get(b"connection", b"").lower()
    if connection in (b"", b"close", b"keep-alive", b"upgrade"):
        return _HOP_BY_HOP
    return _HOP_BY_HOP | ({name.strip() for name in connection.split(b",")} - _ESSENTIAL)


def _upgrade(fields: dict[bytes, bytes]) -> bytes:
    protocol = fields.get(b"upgrade", b"")
    wanted = b"upgrade" in [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]
    # h2c: an application that spoke it would get requests past us, without the fields that we set
    return protocol if wanted and not protocol.lower().startswith(b"h2c") else b""
