"""What only one app can have: pure decisions."""

from gitdeploy import config
from gitdeploy.deploy import claims, stages
from gitdeploy.names import Place

from .test_stages import plan

BANK = Place("bank", "production")
NONE = config.Config()
CATCHES = config.parse(b"environments: {production: {default_app: bank}, staging: {default_app: shop}}\n")


def test_a_host_that_another_app_has_is_taken():
    own = plan(hosts=("shop.example.com", "shop.localhost"))
    assert claims.taken(own, {"hosts": {}}, NONE) is None
    assert claims.taken(own, {"hosts": {"shop.example.com": "shop", "other.localhost": "other"}}, NONE) is None
    assert claims.taken(own, {"hosts": {"shop.example.com": "bank"}}, NONE) == (
        "shop.example.com belongs to bank; take it out of the locations in app.yaml"
    )


def test_a_location_with_a_path_is_another_one_and_the_default_apps_has_no_name():
    own = plan(hosts=("example.com/blog", "blog.localhost", "*"))
    assert claims.taken(own, {"hosts": {"example.com": "bank", "example.com/blog/x": "bank"}}, NONE) is None
    assert stages.named(own.hosts) == ("example.com/blog", "blog.localhost")
    assert own.looked_at == f"{own.release}.blog.localhost"


def test_who_answers_for_all_other_names_does_so_until_its_next_deploy():
    own, bank = plan(hosts=("blog.localhost", "*")), {"hosts": {"*": "bank"}}
    assert claims.taken(own, bank, CATCHES) == (
        "bank answers for all other names there; take default_app out of production in gitdeploy.yaml, then: redeploy bank"
    )
    assert claims.taken(own, bank, NONE) == (
        "bank answers for all other names there, until its next deploy; gitdeploy.yaml says so no more: redeploy bank"
    )
    assert claims.taken(own, {"hosts": {"*": "shop.staging"}}, CATCHES) == (
        "staging/shop answers for all other names there; take default_app out of staging in gitdeploy.yaml,"
        " then: redeploy staging/shop"
    )
    assert claims.taken(own, {"hosts": {"*": "shop.qa"}}, CATCHES) == (
        "qa/shop answers for all other names there; write qa back in gitdeploy.yaml, without default_app, then: redeploy qa/shop"
    )


def test_a_location_is_not_for_two_that_are_deployed_at_once():
    own = plan(hosts=("shop.example.com", "shop.localhost"))
    assert claims.contested(own, []) is None
    assert claims.contested(own, [plan(place=BANK, hosts=("bank.example.com", "bank.localhost"))]) is None
    assert claims.contested(own, [own]) is None
    assert claims.contested(own, [plan(place=BANK, hosts=own.hosts, source="prepare")]) is None
    assert claims.contested(plan(hosts=("shop.a", "*")), [plan(place=BANK, hosts=("bank.b", "*"))]) is None
    both = [plan(place=BANK, hosts=("bank.example.com", "shop.example.com", "bank.localhost"))]
    assert claims.contested(own, both) == (
        "shop.example.com is what bank wants, which is being deployed; push again when that has ended"
    )


def test_nor_is_an_address():
    own = plan(mail=("sales@example.com", "a*@example.com"))
    bank = {"place": BANK, "hosts": ("bank.localhost",)}
    assert claims.contested(own, [plan(**bank, mail=("b*@example.com", "*@example.org"))]) is None
    assert claims.contested(own, [plan(**bank, mail=("*z@example.com",))]) == (
        "a*@example.com is what bank wants, which is being deployed; push again when that has ended"
    )
