"""Mail that people send to an app on a real node: Debian's postfix takes it, the app's own command reads it, nothing is lost."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from ..functional.session import PYTHON, App, Server, hello
from .machines import Node, eventually

RECEIVE = """\
import email, os, pwd, sys
message = email.message_from_file(sys.stdin)
place = os.environ["CONFIG_FILES"] + "/messages"
names = ("SENDER", "RECIPIENT", "APP_ENVIRONMENT", "APP_RELEASE")
with open(place, "a") as file:
    print(message["Subject"], *(os.environ[name] for name in names), "%s", pwd.getpwuid(os.getuid()).pw_name, file=file)
if message.is_multipart():
    open(os.environ["CONFIG_FILES"] + "/back", "w").write(message.as_string())
print("took", message["Subject"])
status = message["X-Status"]
if status == "slow":
    import time
    time.sleep(600)
if status and not os.path.exists(os.environ["CONFIG_FILES"] + "/well"):
    print("no room for " + message["Subject"])
    sys.exit(int(status))
"""
MAIL = """\
services: files
locations: post.example.com, new.example.com
mail:
  Tickets@post.example.com: bin/receive.py
  "ticket-*@post.example.com": {run: bin/receive.py, timeout: 2s}
  "slow-*@post.example.com": bin/receive.py
"""


def files(text: str, mail: str = MAIL) -> dict[str, str]:
    return {**hello(text), "app.yaml": PYTHON + mail, "bin/receive.py": RECEIVE % text}


@pytest.fixture(scope="module")
def node(web: list[Node]) -> Node:
    return web[0]


@pytest.fixture(scope="module")
def server(server: Server) -> Iterator[Server]:
    """production is web1 alone, as files are for an environment with one node."""
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings.replace("production: {nodes: [web1, web2]}", "production: {nodes: [web1]}")):
        yield server


@pytest.fixture(scope="module")
def app(server: Server) -> App:
    made = server.app("postshop")
    made.commit("Mail", files("one"))
    push = made.push(limit=400).ok()
    assert "1 Debian package installed: postfix" in push.err
    return made


@pytest.fixture(scope="module")
def other(server: Server) -> App:
    """Another one that takes mail on the same node."""
    made = server.app("postother")
    mail = 'services: files\nmail: {"*@postother.localhost": bin/receive.py}\n'
    made.commit("Mail", files("other", mail))
    made.push(limit=400).ok()
    return made


def send(node: Node, to: str, subject: str, sender: str = "alice@example.org", status: str = "") -> None:
    """What a mail server somewhere does. Raises SMTPException if the node does not take it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    if status:
        message["X-Status"] = status
    message.set_content("My printer is on fire.\n.\nfrom here on\n")
    with smtplib.SMTP(node.address, 25, local_hostname="mail.example.org", timeout=30) as client:
        client.sendmail(sender, [to], message.as_bytes())


def messages(node: Node, name: str = "postshop") -> list[str]:
    said = node.ssh("cat", f"/var/lib/apps/{name}/files/messages", check=False)
    return said.splitlines()


def queue(node: Node) -> str:
    return node.ssh("postqueue", "-p")


def test_a_message_is_on_the_standard_input_of_the_command(app: App, node: Node) -> None:
    send(node, "tickets@post.example.com", "Fire")
    eventually(
        "it is there",
        lambda: messages(node) == ["Fire alice@example.org tickets@post.example.com production v1 one app-postshop"],
    )
    send(node, "Ticket-7@POST.example.com", "Seven", sender="")
    eventually("it is there", lambda: len(messages(node)) == 2)
    assert messages(node)[1].startswith("Seven  Ticket-7@")
    eventually("the queue is empty", lambda: "Mail queue is empty" in queue(node))
    eventually("it is in the log", lambda: " live mail | took Fire" in app.server.ssh("logs", app.name).ok().out)
    in_files = ("grep", "-rhs", " live mail | took Seven", "/var/log/apps", "/var/log/gitdeploy")
    eventually("it is in the file", lambda: node.ssh(*in_files, check=False))
    assert node.ssh(
        "postmap", "-q", "ticket-1@post.example.com", "regexp:/etc/postfix/gitdeploy-recipients"
    ).strip() == ("gitdeploy-postshop:")


@pytest.mark.parametrize(
    "to", ["nobody@post.example.com", "x@example.net", "root", "tickets%example.net@post.example.com",
           "@post.example.com:x@example.net", "tickets@post.example.com.example.net", "root@localhost"]
)  # fmt: skip
def test_nothing_else_is_taken_whoever_it_is_from(app: App, node: Node, to: str) -> None:
    for sender in ("alice@example.org", "tickets@post.example.com", "root", ""):
        with smtplib.SMTP(node.address, 25, timeout=30) as client:
            client.ehlo("mail.example.org")
            client.mail(sender)
            code, said = client.rcpt(to)
            assert code in (550, 554), (code, said)
    from_itself = (
        f"import smtplib; c = smtplib.SMTP('127.0.0.1'); c.ehlo(); c.mail('a@example.org'); print(c.rcpt({to!r})[0])"
    )
    assert node.ssh("python3", "-c", from_itself).strip() in ("550", "554")


def test_one_that_is_refused_comes_back_with_the_reason(app: App, node: Node) -> None:
    send(node, "tickets@post.example.com", "Full", sender="ticket-back@post.example.com", status="1")
    eventually(
        "it is back", lambda: any(line.startswith("Undelivered Mail Returned to Sender  ") for line in messages(node))
    )
    back = node.ssh("cat", "/var/lib/apps/postshop/files/back")
    assert "To: ticket-back@post.example.com" in back and "Command output: no room for Full" in back
    assert "Mail queue is empty" in queue(node)


def test_one_that_is_to_come_later_stays_in_the_queue_until_it_is_taken(app: App, node: Node) -> None:
    send(node, "tickets@post.example.com", "Later", status="75")
    eventually("it is kept", lambda: "no room for Later" in queue(node))
    node.ssh("postqueue", "-f")
    eventually("it is tried again", lambda: len([line for line in messages(node) if line.startswith("Later ")]) == 2)
    assert "no room for Later" in queue(node)
    node.ssh("touch", "/var/lib/apps/postshop/files/well")
    flushed(node)
    assert len([line for line in messages(node) if line.startswith("Later ")]) == 3


def test_one_that_takes_too_long_is_ended_and_kept(app: App, node: Node) -> None:
    send(node, "ticket-1@post.example.com", "Slow", status="slow")
    eventually("it is kept", lambda: "it was not done within 2 s" in queue(node))
    assert not node.ssh("pgrep", "-f", "bin/receive.py", check=False).strip()
    node.ssh("postsuper", "-d", "ALL")


def test_an_app_whose_commands_hang_keeps_no_other_apps_mail(app: App, other: App, node: Node) -> None:
    def taking() -> list[str]:
        units = ("mail-postshop@*.service", "--state=running", "--plain", "--no-legend")
        return node.ssh("systemctl", "list-units", *units).splitlines()

    for number in range(12):  # as many addresses: postfix begins with five messages at a time to one
        send(node, f"slow-{number}@post.example.com", "Hangs", status="slow")
    eventually("as many as may be are there", lambda: len(taking()) == 10)
    send(node, "any@postother.localhost", "Quick")
    eventually("it is there", lambda: [line.split()[0] for line in messages(node, "postother")] == ["Quick"])
    assert len(taking()) == 10
    node.ssh("postsuper", "-h", "ALL")
    node.ssh("systemctl", "stop", "mail-postshop@*.service")
    eventually("nothing of it is there", lambda: not taking())
    node.ssh("postsuper", "-d", "ALL")


def test_what_comes_while_the_app_is_away_is_kept(app: App, node: Node) -> None:
    app.server.ssh("maintenance:on", app.name).ok()
    send(node, "tickets@post.example.com", "Closed")
    eventually("it is kept", lambda: "the application is out of service" in queue(node))
    app.server.ssh("maintenance:off", app.name).ok()
    flushed(node)
    assert messages(node)[-1].startswith("Closed ")
    node.ssh("systemctl", "stop", "mail-postshop.socket")
    send(node, "tickets@post.example.com", "Away")
    eventually("it is kept", lambda: "the application is not there just now" in queue(node))
    node.ssh("/usr/lib/gitdeploy/boot")  # as after a start of the machine
    flushed(node)
    assert messages(node)[-1].startswith("Away ")


def flushed(node: Node) -> None:
    """Let postfix try again what it keeps, and wait until that is all gone."""

    def is_empty() -> bool:
        node.ssh("postqueue", "-f")
        return "Mail queue is empty" in queue(node)

    eventually("all of it is taken", is_empty)


def test_an_address_that_another_app_has_refuses_the_push(app: App, other: App) -> None:
    for to in ("tickets@post.example.com", "t*@post.example.com", "TICKETS@post.example.com"):
        other.commit("Mail", files("other", f'services: files\nmail: {{"{to}": bin/receive.py}}\n'))
        assert other.push().refused(
            f"app.yaml:4: mail: {to.lower()} belongs to postshop, which has tickets@post.example.com; take it out"
        )
    other.commit("Mail", files("other", 'services: files\nmail: {"*@example.org": bin/receive.py}\n'))
    assert other.push().refused(
        "app.yaml:4: mail: *@example.org is mail for example.org, where postother does not answer"
    )


def test_a_postfix_that_somebody_else_configured_is_left_alone(app: App, node: Node, server: Server) -> None:
    main = node.root / "etc/postfix/main.cf"
    ours = main.read_text()
    main.write_text("# mine\n")
    try:
        app.commit("Mail", files("mine"))
        assert app.push().refused(
            "mail: postfix is configured by somebody else (/etc/postfix/main.cf); remove that file"
        )
        assert main.read_text() == "# mine\n"
    finally:
        main.write_text(ours)


def test_a_switch_changes_who_gets_it_and_what_is_taken(app: App, node: Node) -> None:
    mail = (
        'services: files\nlocations: post.example.com, new.example.com\nmail:\n  "*@new.example.com": bin/receive.py\n'
    )
    app.commit("Another address", files("two", mail))
    app.push().ok()
    send(node, "any+thing@new.example.com", "New")
    eventually("it is there", lambda: messages(node)[-1].startswith("New "))
    assert messages(node)[-1].split()[-3:] == ["v2", "two", "app-postshop"]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(node, "tickets@post.example.com", "Old")
    app.server.ssh("rollback", app.name).ok()
    send(node, "tickets@post.example.com", "Old")
    eventually("it is there", lambda: messages(node)[-1].startswith("Old "))
    assert messages(node)[-1].split()[-2] == "one"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(node, "any@new.example.com", "New")


def test_what_was_accepted_once_stays_when_the_domain_is_given_to_another(app: App, server: Server) -> None:
    settings = (server.home / "gitdeploy.yaml").read_text()
    with server.settings(settings + "mail: {post.example.com: postother}\n"):
        app.commit("Once more", files("three"))
        assert app.push().refused(
            "app.yaml:6: mail: tickets@post.example.com is mail for post.example.com, which gitdeploy.yaml gives to postother"
        )
        app.git("reset", "-q", "--hard", "HEAD^")
        app.server.ssh("redeploy", app.name).ok()


def test_after_destroy_nothing_is_left_of_it(app: App, node: Node) -> None:
    app.server.ssh("destroy", "--confirm", app.name, app.name, limit=120).ok()
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(node, "tickets@post.example.com", "Gone")
    assert "postshop" not in (node.root / "etc/postfix/gitdeploy-recipients").read_text()
    assert not list((node.root / "etc/systemd/system").glob("mail-postshop*"))
    assert not node.ssh("systemctl", "list-units", "--all", "--plain", "--no-legend", "mail-postshop*").strip()
