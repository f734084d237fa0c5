"""The front's own pages."""

from gitdeploy.web import pages
from gitdeploy.web.pages import Page, Pages


def test_html_is_escaped_and_for_those_who_ask_for_it():
    page = Page(404, "<b>", "a & b", "<script>", retry_after=3)
    fields, body = Pages().render(page, b"text/html,*/*;q=0.8")
    assert b"<h1>&lt;b&gt;</h1>" in body and b"a &amp; b" in body and b"<script>" not in body
    assert dict(fields) == {
        b"Content-Type": b"text/html; charset=utf-8",
        b"Content-Length": str(len(body)).encode(),
        b"Cache-Control": b"no-store",
        b"Retry-After": b"3",
    }


def test_text_for_all_others():
    fields, body = Pages().render(Page(502, "Down", "It is down.", "Look at <the logs>."), b"*/*")
    assert body == b"502 Down\n\nIt is down.\nLook at <the logs>.\n"
    assert (b"Content-Type", b"text/plain; charset=utf-8") in fields


def test_commands_take_another_name():
    assert pages.command_name("shop") == "shop"
    assert pages.command_name("shop (staging)") == "staging/shop"
