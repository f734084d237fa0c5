"""The front's own pages: what a visitor reads when no application answers, and what the one who deploys does next."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from jinja2 import Environment, PackageLoader


@dataclass(frozen=True)
class Page:
    """A page of ours: `text` says what happened, `advice` what to do next, `retry_after` is in seconds.

    `details` are lines as a program wrote them; browsers ask again after `refresh` seconds. `location` is where to go instead.
    """

    status: int
    title: str
    text: str
    advice: str
    retry_after: int | None = None
    details: str = ""
    refresh: int | None = None
    location: bytes | None = None


class Pages:
    """Renders pages, as HTML for those who ask for it (browsers do) and as plain text for all others (curl)."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("gitdeploy.web"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._html = environment.get_template("page.html")

    def html(self, page: Page) -> str:
        """`page` for browsers."""
        return self._html.render(page=page)

    def text(self, page: Page) -> str:
        """`page` for all others."""
        return f"{page.status} {page.title}\n\n{page.text}\n{page.advice}\n{page.details}"

    def render(self, page: Page, accept: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """`page` as (header fields, body) for a client that sent `accept` (RFC 9110 12.5.1)."""
        if b"text/html" in accept or b"application/xhtml" in accept:
            kind, text = b"text/html; charset=utf-8", self.html(page)
        else:
            kind, text = b"text/plain; charset=utf-8", self.text(page)
        body = text.encode("utf-8", "replace")
        fields = [
            (b"Content-Type", kind),
            (b"Content-Length", str(len(body)).encode()),
            (b"Cache-Control", b"no-store"),
        ]
        if page.retry_after is not None:
            fields.append((b"Retry-After", str(page.retry_after).encode()))
        if page.location is not None:
            fields.append((b"Location", page.location))
        if page.status == HTTPStatus.METHOD_NOT_ALLOWED:
            fields.append((b"Allow", b"GET, HEAD"))
        return fields, body


def command_name(app: str) -> str:
    """The name commands take for what pages call `app`: ``shop (staging)`` is ``staging/shop``."""
    name, _, environment = app.partition(" (")
    return f"{environment.removesuffix(')')}/{name}" if environment else name


def _look_at_logs(app: str) -> str:
    return (
        f"If it is yours, `logs {command_name(app)}` over ssh says why; push a fix or `rollback {command_name(app)}`."
    )


def unknown_host(host: str) -> Page:
    """No application is deployed under `host`."""
    named = f"No application answers to the name {host}." if host else "The request names no host."
    advice = "Check the spelling; `apps` over ssh lists what is deployed here. A first push makes an application."
    return Page(404, "Nothing here by that name", named, advice)


def stopped(app: str) -> Page:
    """`app` exists and is not running."""
    advice = f"If it is yours, push to it, or `redeploy {command_name(app)}` over ssh starts it again."
    return Page(503, f"{app} is stopped", "The application is not running at the moment.", advice, retry_after=30)


def updating(app: str) -> Page:
    """The data of `app` are brought up to date, and nobody is answered meanwhile."""
    return Page(
        503, f"{app} is being brought up to date", "It is back in a moment.", "Try again in a moment.", retry_after=5
    )


def maintenance(app: str) -> Page:
    """Somebody has taken `app` out of service."""
    text = "Whoever keeps it has taken it out of service for a while."
    return Page(503, f"{app} is out of service", text, "Try again later.")


def moved(location: bytes) -> Page:
    """What was asked for is somewhere else, and was never here."""
    where = location.decode("latin-1")
    return Page(308, "This is elsewhere", f"It is at {where}", "Browsers go on by themselves.", location=location)


def down(app: str) -> Page:
    """Nobody listens on the application's socket."""
    return Page(502, f"{app} is down", "The application does not take connections.", _look_at_logs(app))


def died(app: str) -> Page:
    """The application closed the connection without an answer."""
    text = "The application closed the connection without an answer; this request may have been too much for it."
    return Page(502, f"{app} did not answer", text, _look_at_logs(app))


def nonsense(app: str, why: str) -> Page:
    """What the application answered is not HTTP."""
    text = f"What the application answered is not HTTP/1.1: {why}."
    return Page(502, f"{app} answered nonsense", text, _look_at_logs(app))


def slow(app: str, seconds: float) -> Page:
    """The application did not go on for longer than the limit."""
    text = f"The application did not answer for {seconds:g} seconds; the request was given up."
    return Page(504, f"{app} takes too long", text, _look_at_logs(app))


def overloaded(app: str) -> Page:
    """The application's queue of waiting connections is full."""
    text = "More requests wait for the application than it can take."
    advice = f"Try again in a moment. If it is yours, `ps {command_name(app)}` over ssh shows how it does."
    return Page(503, f"{app} has too much to do", text, advice, retry_after=1)


def no_such_file(app: str) -> Page:
    """An application of files only has none for this path."""
    text = f"{app} has no file for this address."
    return Page(404, "Not found", text, "Check the spelling. Only files below the directory `static` are served.")


def files_only(app: str) -> Page:
    """An application of files only was sent something."""
    text = f"{app} consists of files: they can be read and nothing can be sent to them."
    return Page(405, "Nothing to send to", text, "Use GET or HEAD.")


def bad_request(status: int, why: str) -> Page:
    """A request that is no proper HTTP/1.1 (RFC 9112): 400, 408, 431, 501 or 505."""
    advice = "A browser never sends this; check the program that did. Nothing of it reached an application."
    return Page(status, HTTPStatus(status).phrase, f"The request was not understood: {why}.", advice)


def too_slow_client(seconds: float) -> Page:
    """The client began a request and did not go on."""
    text = f"The request was not complete, and nothing more came for {seconds:g} seconds."
    return Page(408, "The request did not arrive", text, "Try again, over a better connection.")


def broken() -> Page:
    """A defect of ours."""
    text = "The front of this server failed at this request; the application is not to blame."
    return Page(
        500, "Our mistake", text, "Try again. The traceback is in the log of gitdeploy server; please report it."
    )
