"""What postfix is told of all apps, and when; with programs that note what they are asked."""

import os
import re

import pytest

from buildless.errors import NodeError
from buildless.node import mail, releases, tool

COMMIT = "a" * 40
WEB = {"processes": 4, "memory": 300_000_000, "boot": 60}
RUNS = ["postfix", "status"]


@pytest.fixture(autouse=True)
def postfix(programs, layout, monkeypatch):
    """A machine with postfix, as Debian's package leaves it without a configuration."""
    programs.add("postfix")
    monkeypatch.setitem(tool.ENVIRON, "PATH", os.environ["PATH"])
    layout.postfix.mkdir(parents=True)
    return programs


def record(*addresses):
    return {"commit": COMMIT, "tree": "0" * 40, "hosts": ["shop.test"], "web": WEB, "mail": list(addresses)}


def live(layout, name, *addresses):
    """An app whose live release takes these."""
    app = layout.app(name)
    app.version(COMMIT).mkdir(parents=True)
    releases.write(app, releases.NewRelease("v1", COMMIT, {}, {}, record(*addresses), "s" * 64, {}))
    releases.switch(app, "v1")
    return app


def tables(layout):
    return [[line for line in path.read_text().splitlines() if line[0] != "#"] for path in mail.tables(layout)]


def test_the_tables_have_the_addresses_of_all_that_is_live(layout, postfix):
    bank = live(layout, "bank", "*@bank.test")
    mail.propose(bank, record("*@bank.test"))
    mail.install(bank, record("*@bank.test"))
    shop = live(layout, "shop.x", "a+b.c@shop.test", "t-*@shop.test")
    live(layout, "none")
    postfix.forget()
    mail.install(shop, record("a+b.c@shop.test", "t-*@shop.test"))
    assert tables(layout) == [
        ["bank.test mail", "shop.test mail"],
        ["/^.*@bank[.]test$/ gitdeploy-bank:", "/^a[+]b[.]c@shop[.]test$/ gitdeploy-shop.x:",
         "/^t-.*@shop[.]test$/ gitdeploy-shop.x:"],
    ]  # fmt: skip
    assert transports(layout) == ["bank", "shop.x"]
    start = [["systemctl", what, "mail-shop.x.socket"] for what in ("restart", "start")]
    assert postfix.calls == [["systemctl", "daemon-reload"], *start, ["postfix", "status"], ["postfix", "reload"]]
    socket = (layout.units / "mail-shop.x.socket").read_text()
    assert f"ListenStream={shop.mail_socket}\n" in socket and "SocketGroup=gitdeploy-mail\n" in socket
    assert "User=app-shop_x\n" in (layout.units / "mail-shop.x@.service").read_text()
    mail.install(bank, None)
    assert tables(layout)[0] == ["shop.test mail"] and transports(layout) == ["shop.x"]
    assert sorted(path.name for path in layout.units.glob("mail-*")) == ["mail-shop.x.socket", "mail-shop.x@.service"]
    assert (mail.listening(shop), mail.listening(bank)) == (["mail-shop.x.socket"], [])


def transports(layout):
    """The apps that have one, each with its own limit."""
    text = (layout.postfix / "master.cf").read_text()
    found = re.findall(r"(?m)^gitdeploy-(\S+) unix - n n - 10 pipe$", text)
    assert found == re.findall(r"argv=/usr/lib/gitdeploy/mail (\S+) \$\{sender\} \$\{recipient\}", text)
    return found


def test_an_app_without_mail_has_nothing_to_do_with_postfix(layout, postfix):
    shop = live(layout, "shop")
    mail.propose(shop, record())
    mail.install(shop, record())
    mail.install(shop, None)
    assert postfix.calls == [] and not list(layout.postfix.iterdir())


def test_an_address_that_another_app_has_is_refused_before_anything_is_done(layout, postfix):
    live(layout, "shop", "tickets@shop.test")
    with pytest.raises(
        NodeError, match=r"mail: t\*@shop.test belongs to shop, which has tickets@shop.test; take it out"
    ):
        mail.propose(layout.app("bank"), record("a@bank.test", "t*@shop.test"))
    mail.propose(layout.app("shop"), record("t*@shop.test"))  # its own
    with pytest.raises(NodeError, match="is no name before the @"):
        mail.propose(layout.app("bank"), record("a/ error:x\n/b@bank.test"))


def test_postfix_is_set_up_once_and_again_if_that_was_cut_short(layout, postfix):
    start = [
        ["postfix", "check"], ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--quiet", "postfix.service"], ["systemctl", "restart", "postfix.service"],
    ]  # fmt: skip
    mail.set_up(layout)
    assert postfix.calls == [*start, RUNS]
    main = (layout.postfix / "main.cf").read_text()
    assert "smtpd_relay_restrictions = reject_unauth_destination\n" in main and "mynetworks =\n" in main
    assert transports(layout) == []
    postfix.forget()
    mail.set_up(layout)
    assert postfix.calls == [RUNS, RUNS]
    postfix.answer("postfix", "status", code=1)
    postfix.forget()
    with pytest.raises(NodeError, match="postfix does not run; look on the node"):
        mail.set_up(layout)
    assert postfix.calls == [RUNS, *start, RUNS]


def test_set_up_anew_it_has_what_is_live(layout, postfix):
    live(layout, "shop", "a@shop.test")
    mail.set_up(layout)
    assert transports(layout) == ["shop"] and tables(layout)[1] == ["/^a@shop[.]test$/ gitdeploy-shop:"]


def test_a_configuration_that_is_not_ours_stays(layout, postfix):
    (layout.postfix / "main.cf").write_text("myhostname = mine\n")
    with pytest.raises(NodeError, match="configured by somebody else"):
        mail.set_up(layout)
    mail.tell(layout.app("shop"), [])
    assert [path.name for path in layout.postfix.iterdir()] == ["main.cf"] and postfix.calls == []
