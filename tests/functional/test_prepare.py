"""A push to the branch ``prepare``: a release that can be looked at, and is not live."""

from __future__ import annotations

import signal

from .session import App, eventually, hello


def at(app: App, release: str) -> str:
    """What a release that is kept says."""
    return app.server.get(f"{release}.{app.name}.localhost").body.decode()


def two(app: App) -> None:
    """One is live, and the next is prepared."""
    app.commit("Sell apples", hello("apples"))
    app.push().ok()
    app.commit("Sell pears", hello("pears"))
    push = app.push("deploy", "master:prepare").ok()
    assert "-----> Ready: v2," in push.err
    assert f"http://v2.{app.name}.localhost:{app.server.http_port}/" in push.err


def test_it_is_looked_at_and_then_made_live(shop: App) -> None:
    two(shop)
    assert shop.says() == "apples"
    assert at(shop, "v2") == "pears" and at(shop, "v1") == "apples"
    assert "v2" not in shop.server.ssh("releases", shop.name).ok().out
    assert " prepared " in shop.server.ssh("deploys", shop.name).ok().out
    shop.server.ssh("verify", shop.name).ok()
    push = shop.push().ok()
    assert "has this version already, nothing to send" in push.err
    assert "-----> Live: v3," in push.err
    assert shop.says() == "pears" and at(shop, "v1") == "apples"
    shop.server.ssh("rollback", shop.name).ok()
    assert shop.says() == "apples"


def test_one_that_does_not_start_is_refused_as_if_it_were_to_be_live(shop: App) -> None:
    two(shop)
    shop.commit("Be broken", {"hello.py": "import nothing_like_it\n"})
    refused = shop.push("deploy", "master:prepare")
    assert refused.refused("nothing_like_it")
    assert shop.says() == "apples" and at(shop, "v2") == "pears"


def test_it_stays_when_the_server_is_started_again_and_goes_with_the_next_one(shop: App) -> None:
    two(shop)
    shop.server.end(signal.SIGKILL)
    shop.server.start()
    eventually("it serves again", lambda: shop.says() == "apples")
    assert at(shop, "v2") == "pears"
    shop.push("deploy", ":prepare").ok()
    assert at(shop, "v2") == "pears"
    shop.server.end()
    shop.server.start()
    eventually("it serves again", lambda: shop.says() == "apples")
    assert shop.server.get(f"v2.{shop.name}.localhost").status == 404


def test_before_anything_is_live_there_is_nothing_to_prepare_for(shop: App) -> None:
    shop.commit("Sell apples", hello("apples"))
    assert shop.push("deploy", "master:prepare").refused("the first push makes master or main the branch")
