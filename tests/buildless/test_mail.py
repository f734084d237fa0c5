"""mail: in app.yaml: addresses, patterns, commands, and what two applications may not both have."""

import pytest

from buildless import lifecycle
from buildless.description import parse
from buildless.errors import DocumentError
from buildless.mail import Mailbox, both, find, takes

TEXT = b"""\
platform: static
mail:
  Tickets@Shop.example.com: bin/receive --strict
  "ticket-*@shop.example.com": {run: "shop.mail:answer", timeout: 1min}
  "*@shop.example.com": bin/other
"""


def test_what_takes_messages():
    found = parse(TEXT)
    assert found.mail == (
        Mailbox("tickets@shop.example.com", ("bin/receive", "--strict")),
        Mailbox("ticket-*@shop.example.com", ("shop.mail:answer",), 60.0),
        Mailbox("*@shop.example.com", ("bin/other",)),
    )
    assert [words[0] for key, words in lifecycle.commands(found) if key == "mail"] == [
        "bin/receive", "shop.mail:answer", "bin/other"
    ]  # fmt: skip
    assert parse(b"platform: static\n").mail == () == parse(b"platform: static\nmail:\n").mail


@pytest.mark.parametrize(
    ("address", "run"),
    [
        ("tickets@shop.example.com", "bin/receive"),
        ("TICKETS@SHOP.EXAMPLE.COM", "bin/receive"),
        ("ticket-7@shop.example.com", "shop.mail:answer"),
        ("ticket-@shop.example.com", "shop.mail:answer"),
        ("who@shop.example.com", "bin/other"),
    ],
)
def test_the_first_that_fits_gets_a_message(address, run):
    found = find(parse(TEXT).mail, address)
    assert found is not None and found.run[0] == run


@pytest.mark.parametrize("address", ["tickets@example.com", "x@shopXexample.com", "x@shop.example.com.org", "x", ""])
def test_other_addresses_are_nobodys(address):
    assert find(parse(TEXT).mail, address) is None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("tickets: bin/x", 'app.yaml:3: mail: "tickets" is no address; write one such as tickets@shop.example.com'),
        ('"@example.com": bin/x', '"@example.com" is no address'),
        ('"a b@example.com": bin/x', '"a b" is no name before the @; write letters, digits and . _ + -'),
        ('"*a*@example.com": bin/x', "at most one *, such as ticket-*"),
        ('"a..b@example.com": bin/x', "is no name before the @"),
        ('"a@b@example.com": bin/x', "is no name before the @"),
        ('"a/@example.com": bin/x', "is no name before the @"),
        ('"a@*.example.com": bin/x', "means many hosts; write each host name by itself"),
        ('"a@exa mple.com": bin/x', "is no host name"),
        ("a@example.com: /receive", "is a URL path, which cannot read a message; write a file or module:function"),
        ("a@example.com: ../x", "is no path below the top of the tree"),
        ("a@example.com:", "there is no command; write such as bin/receive"),
        ("a@example.com: {timeout: 5s}", "there is no command; write `run: COMMAND`"),
        ("a@example.com: {run: bin/x, timeout: 2h}", "a message may take 3600 s; write at most that"),
        ("a@example.com: {run: bin/x, to: y}", 'unknown key "to"'),
    ],
)
def test_what_is_wrong_is_said(entry, says):
    with pytest.raises(DocumentError) as caught:
        parse(f"platform: static\nmail:\n  {entry}\n".encode())
    [problem] = caught.value.problems
    assert says in problem and problem.startswith("app.yaml:3: ")


SOME = ["a@x.com", "ab@x.com", "a*@x.com", "*b@x.com", "a*b@x.com", "*@x.com", "a.b@x.com", "a+b*@x.com", "*@y.com"]
ADDRESSES = [f"{local}@{domain}.com" for local in ("a", "ab", "b", "acb", "a.b", "a+b", "a+bb", "c") for domain in "xy"]


@pytest.mark.parametrize("one", SOME)
@pytest.mark.parametrize("other", SOME)
def test_two_patterns_have_an_address_in_common_or_not(one, other):
    common = [address for address in ADDRESSES if takes(one, address) and takes(other, address)]
    assert both(one, other) == both(other, one)
    assert both(one, other) or not common
    assert common or not both(one, other)
