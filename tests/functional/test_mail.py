"""Whose mail is whose: an app has that for its own host names, and for the domains that gitdeploy.yaml gives it."""

from __future__ import annotations

import pytest

from .session import PYTHON, SMALL, App, Server, hello

GIVEN = "mail: {Given.example.net: 'bank, given', closed.example.net: }\n"


def taking(*addresses: str, locations: str = "") -> dict[str, str]:
    """The files of an application that takes mail for these; the first address is in line 5, or 6 if it has locations."""
    lines = [f"locations: {locations}"] if locations else []
    lines += ["name: x", "mail:", *(f'  "{to}": bin/receive.py' for to in addresses)]
    return {**hello("one"), "app.yaml": PYTHON + "\n".join(lines) + "\n", "bin/receive.py": ""}


@pytest.fixture(scope="module")
def owner(server: Server) -> App:
    """It has example.com with its mail, www.example.org without, and a part of example.net."""
    app = server.app("owner")
    locations = "example.com, www.example.org, example.net/blog"
    app.commit("Mail", taking("tickets@example.com", "a-*@owner.localhost", locations=locations))
    app.push().ok()
    return app


@pytest.fixture(scope="module")
def bank(server: Server, owner: App) -> App:
    return server.app("bank")


def test_an_address_that_another_app_has_is_refused_with_its_line_and_whose_it_is(bank: App) -> None:
    for to in ("tickets@example.com", "T*@example.com", "*@example.com"):
        bank.commit("Theirs", taking("ok@bank.localhost", to))
        assert bank.push().refused(
            f"app.yaml:6: mail: {to.lower()} belongs to owner, which has tickets@example.com; take it out"
        )


def test_mail_for_a_host_name_that_is_not_its_own_is_refused_each_with_its_line(bank: App) -> None:
    bank.commit("Any", taking("*@gmail.com", "me@bank.localhost", "me@localhost"))
    push = bank.push()
    assert push.refused(
        "app.yaml:5: mail: *@gmail.com is mail for gmail.com, where bank does not answer; write gmail.com into locations,"
        " or have gmail.com given to it (mail in gitdeploy.yaml)"
    )
    assert "app.yaml:7: mail: me@localhost is mail for localhost, where bank does not answer" in push.err
    assert "me@bank.localhost" not in push.err


@pytest.mark.parametrize("domain", ["example.com", "www.example.org", "example.net", "owner.localhost"])
def test_mail_for_a_host_name_where_another_app_answers_is_refused(bank: App, domain: str) -> None:
    bank.commit("Theirs", taking(f"other@{domain}", locations="example.net/bank, example.com/bank, example.org/bank"))
    assert bank.push().refused(
        f"app.yaml:6: mail: other@{domain} is mail for {domain}, where owner answers; take it out"
    )


def test_www_is_the_same_name_as_long_as_nobody_else_has_it(server: Server, owner: App, bank: App) -> None:
    same = server.app("same")
    same.commit("Same", taking("a@example.de", "a@www.example.it", locations="www.example.de, example.it"))
    same.push().ok()
    bank.commit("Other", taking("a@bank.localhost", locations="example.de"))
    bank.push().ok()
    assert same.push("staging", "master").ok()  # where it has no locations, and so no mail
    same.commit("Same", taking("b@example.de", locations="www.example.de"))
    assert same.push().refused("app.yaml:6: mail: b@example.de is mail for example.de, where bank answers; take it out")


def test_a_path_is_a_part_of_a_host_name_and_has_no_mail(bank: App) -> None:
    bank.commit("Part", taking("a@example.fr", locations="example.fr/bank"))
    assert bank.push().refused("app.yaml:6: mail: a@example.fr is mail for example.fr, where bank does not answer")


def test_gitdeploy_yaml_gives_a_domain_to_apps_and_to_them_alone(server: Server, bank: App) -> None:
    with server.settings(SMALL + GIVEN):
        given = server.app("given")
        given.commit("Given", taking("a-*@given.example.net"))
        given.push().ok()
        bank.commit("Given", taking("b@given.example.net"))
        bank.push().ok()
        bank.commit("Given", taking("a-b@given.example.net"))
        assert bank.push().refused("app.yaml:5: mail: a-b@given.example.net belongs to given, which has a-*@given")
        other = server.app("other")
        for domain, owners in (("given.example.net", "bank, given"), ("closed.example.net", "nobody")):
            other.commit("Given", taking(f"c@{domain}", locations=domain))
            assert other.push().refused(
                f"app.yaml:6: mail: c@{domain} is mail for {domain}, which gitdeploy.yaml gives to {owners}; take it out"
            )
