"""Whose the mail for a domain is: pure decisions."""

from gitdeploy.deploy import mail

from .test_stages import plan

NOBODY = {"hosts": {}, "mail": {}}
TEXT = b"""\
platform: static
mail:
  A@own.example.com: bin/receive
  "*@list.example.com": bin/receive
"""
HOSTS = ("own.example.com", "shop.localhost")


def wanted(text=TEXT, hosts=HOSTS, takes=True):
    found = plan(text, hosts=hosts)
    return plan(text, hosts=hosts, mail=tuple(one.to for one in found.description.mail) if takes else ())


def test_a_host_name_of_its_own_and_a_domain_that_is_given_to_it():
    assert mail.refused(wanted(), {"list.example.com": ("bank", "shop")}, NOBODY) == []
    [why] = mail.refused(wanted(), {}, NOBODY)
    assert why.startswith(
        "app.yaml:4: mail: *@list.example.com is mail for list.example.com, where shop does not answer; "
    )
    assert "write list.example.com into locations, or have list.example.com given to it" in why


def test_what_is_given_is_for_those_alone_whoever_answers_there():
    given = {"own.example.com": ("bank",), "list.example.com": ()}
    assert mail.refused(wanted(), given, NOBODY) == [
        "app.yaml:3: mail: a@own.example.com is mail for own.example.com, which gitdeploy.yaml gives to bank; take it out",
        "app.yaml:4: mail: *@list.example.com is mail for list.example.com, which gitdeploy.yaml gives to nobody; take it out",
    ]


def test_www_is_the_same_unless_another_answers_there():
    hosts = ("www.own.example.com", "list.example.com", "shop.localhost")
    assert mail.refused(wanted(hosts=hosts), {}, NOBODY) == []
    there = {"hosts": {"own.example.com/blog": "bank", "list.example.com/x": "bank"}, "mail": {}}
    [why] = mail.refused(wanted(hosts=hosts), {}, there)
    assert why.startswith(
        "app.yaml:3: mail: a@own.example.com is mail for own.example.com, where bank answers; take it out,"
    )


def test_a_path_is_no_host_name():
    [why] = mail.refused(wanted(hosts=("own.example.com", "list.example.com/x")), {}, NOBODY)
    assert why.startswith("app.yaml:4: ")


def test_an_address_that_another_app_has_is_said_first():
    there = {"hosts": {}, "mail": {"x-*@list.example.com": "bank", "a@own.example.com": "shop"}}
    given = {"list.example.com": ("shop",)}
    assert mail.refused(wanted(), given, there) == [
        "app.yaml:4: mail: *@list.example.com belongs to bank, which has x-*@list.example.com; take it out"
    ]


def test_where_it_takes_no_mail_nothing_is_asked():
    assert mail.refused(wanted(takes=False), {}, NOBODY) == []
    assert mail.refused(wanted(), {"list.example.com": ("shop",)}, {"hosts": {}}) == []  # a node of before
